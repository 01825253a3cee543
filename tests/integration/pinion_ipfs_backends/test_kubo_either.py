"""A Kubo by its API or by its program: what deletes is asked of the API alone, and pins are given up where they were made."""

import os
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs.backends.kubo_cli import KuboCli
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.routing.kubo import KuboEither
from tests.support.backends import Places

pytestmark = pytest.mark.kubo
DEAD = "http://127.0.0.1:9"


@pytest.fixture
def program(places: Places) -> KuboCli:
    return KuboCli("kubo_cli", str(places.repo.binary), repository=places.repo.path)


def test_garbage_of_the_program_s_repository_stays_when_the_api_is_down(program: KuboCli) -> None:
    either = KuboEither(KuboRpc("kubo_rpc", DEAD), program)
    cid = ipfs.add_bytes(os.urandom(9), backend=program, pin=False)
    assert ipfs.has(cid, backend=either)  # reads do go by the program
    with pytest.raises(ipfs.BackendUnavailable, match="kubo_rpc"):
        ipfs.gc(backend=either)
    assert ipfs.has(cid, backend=program)


def test_a_pin_of_the_program_s_repository_stays_when_the_api_is_down(program: KuboCli) -> None:
    either = KuboEither(KuboRpc("kubo_rpc", DEAD), program)
    cid = ipfs.add_bytes(os.urandom(9), backend=program)
    with pytest.raises(ipfs.BackendUnavailable, match="kubo_rpc"):
        ipfs.unpin(cid, backend=either)
    assert cid in ipfs.pin_ls(backend=program)


def test_a_model_pinned_by_the_program_is_given_up_there_once_the_api_is_back(
    places: Places, program: KuboCli, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes(os.urandom(9))
    down = KuboEither(KuboRpc("kubo_rpc", DEAD), program)
    stored = ipfs.ModelManager(tmp_path / "hf", backend=down).store_model_to_ipfs(tmp_path / "config.json")
    assert stored.backends == ("kubo_cli",)
    back = KuboEither(KuboRpc("kubo_rpc", places.kubo.rpc_url), program)
    assert ipfs.ModelManager(tmp_path / "hf", backend=back).remove(stored.cid).unpinned == ("kubo_cli",)
    assert not {stored.cid, stored.manifest_cid} & set(ipfs.pin_ls(backend=program))
