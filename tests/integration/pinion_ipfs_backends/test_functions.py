"""The functions against each writable backend, and against two of which one is lost in the middle."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs import aio
from pinion_ipfs.backends.base import Backend
from tests.support.backends import WRITABLE, Places
from tests.support.cars import make_car, make_tree
from tests.support.relay import relay

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024


@pytest.fixture(params=WRITABLE)
def place(request: pytest.FixtureRequest, places: Places) -> Backend:
    """Return a backend that no loop has used yet: the functions have their own, which closes it at the end."""
    return places.makers()[request.param]()


def test_what_goes_in_comes_out_and_is_pinned_as_long_as_it_should(place: Backend, tmp_path: Path) -> None:
    files = {"a.bin": os.urandom(2 * MIB + 9), "below/b.txt": os.urandom(7)}
    for name, data in files.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    cid = ipfs.add_path(tmp_path / "model", backend=place)
    assert cid == str(make_tree(files).root)
    assert ipfs.ls(cid, backend=place) == ["a.bin", "below"]
    assert ipfs.stat(cid, backend=place).blocks == 7
    assert cid in ipfs.pin_ls(backend=place)
    ipfs.get_to_path(cid, output_path=tmp_path / "copy", backend=place)
    assert {name: (tmp_path / "copy" / name).read_bytes() for name in files} == files
    car = ipfs.dag_export(cid, backend=place)
    assert car == make_car(files)[1]
    ipfs.unpin(cid, backend=place)
    assert cid not in ipfs.pin_ls(backend=place)
    assert ipfs.dag_import(car, backend=place) == cid
    assert cid in ipfs.pin_ls(backend=place)
    assert [receipt.backend for receipt in ipfs.get_last_receipts()] == [place.name]
    ipfs.unpin(cid, backend=place)


async def test_the_twins_and_small_content_within_a_running_loop(place: Backend) -> None:
    data = os.urandom(70_000)
    cid = ipfs.add_bytes(data, backend=place)
    assert await aio.cat(cid, backend=place) == ipfs.block_get(cid, backend=place) == data
    assert await aio.has(cid, backend=place)
    absent = str(ipfs.Cid.of_block(0x55, os.urandom(9)))
    assert not ipfs.has(absent, backend=place)
    with pytest.raises(ipfs.ContentMissing):
        ipfs.pin(absent, backend=place)
    ipfs.unpin(cid, backend=place)
    _, receipt = await aio.select_backend(backend=place)
    assert (receipt.selected_name, receipt.degraded) == (place.name, False)
    assert {"add", "cat", "compare"} <= set(receipt.capabilities.checks)


FORKED = """
import os, pathlib, sys
import pinion_ipfs as ipfs
for given in (ipfs.KuboRpc("kubo_rpc", sys.argv[1]), ipfs.IpfsKit(paths=[pathlib.Path(sys.argv[2])])):
    cid = ipfs.add_bytes(b"before", pin=False, backend=given)
    for _ in range(2):
        child = os.fork()
        if not child:
            assert ipfs.cat(cid, backend=given) == b"before"
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ipfs.cat(cid, backend=given) == b"before"
"""


def test_children_that_are_forked_leave_the_parents_connections_and_processes_alone(places: Places) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", FORKED, places.kubo.rpc_url, str(places.kit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@contextmanager
def losing(name: str, places: Places, tmp_path: Path) -> Iterator[tuple[Backend, Callable[[], object]]]:
    """Yield a backend and how it is lost; what it shares with other tests is back afterwards."""
    if name == "kubo_rpc":
        with relay() as way:
            way.lead_to(places.kubo.rpc_url)
            yield ipfs.KuboRpc(name, way.url), way.take_down
    elif name == "hf_cache":
        yield ipfs.HfCache(name, tmp_path / "lost"), lambda: take_away(tmp_path / "lost")
    else:
        repository, away = places.repo.path, places.repo.path.with_name("away")
        try:
            yield places.makers()[name](), lambda: repository.rename(away)
        finally:
            away.rename(repository)


@pytest.mark.parametrize("name", WRITABLE)
def test_one_that_is_lost_in_the_middle_of_a_read_is_followed_by_another(name: str, places: Places, tmp_path: Path) -> None:
    data = os.urandom(10 * MIB)  # more than is brought ahead
    other = ipfs.HfCache("other", tmp_path / "other")
    with losing(name, places, tmp_path) as (first, lose):
        cid = ipfs.add_bytes(data, pin=False, backend=first)
        ipfs.add_bytes(data, pin=False, backend=other)
        pieces = ipfs.cat_stream(cid, backend=[first, other])
        got = next(pieces)
        lose()
        assert got + b"".join(pieces) == data
        (receipt,) = ipfs.get_last_receipts()
        assert (receipt.backend, receipt.preferred, receipt.degraded, receipt.bytes) == ("other", name, True, len(data))
        assert [attempt.backend for attempt in receipt.attempts] == [name]
        ipfs.add_path(other_file(tmp_path), backend=[first, other])
        (receipt,) = ipfs.get_last_receipts()
        assert (receipt.backend, [attempt.backend for attempt in receipt.attempts]) == ("other", [name])


def take_away(folder: Path) -> None:
    """Put a file in a folder's place: one that is gone would be made anew."""
    folder.rename(folder.with_name("away"))
    folder.touch()


def other_file(folder: Path) -> Path:
    """Return a file of more than one block."""
    path = folder / "file"
    path.write_bytes(os.urandom(MIB + 1))
    return path
