"""The selection of a backend: by round trips, with a receipt that says who was passed over and why."""

import json
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from tests.support.blocking_backends import Down, InMemory, OtherBytes


def test_the_first_whose_round_trip_succeeds(tmp_path: Path) -> None:
    cache = ipfs.HfCache("cache", tmp_path)
    dead = ipfs.KuboRpc("dead", "http://127.0.0.1:9")
    chosen, receipt = ipfs.select_backend(backend=[dead, Down(), OtherBytes(), cache])
    assert chosen.name == "cache"
    assert (receipt.selected_name, receipt.selected_role, receipt.preferred_name) == ("cache", "cache", "dead")
    assert (receipt.preferred_available, receipt.degraded) == (False, True)
    assert receipt.candidate_order == ("dead", "Down", "OtherBytes", "cache")
    assert [reason.split(" ")[0].rstrip(":") for reason in receipt.degradation_reasons[:2]] == ["dead", "Down"]
    assert "expected" in receipt.degradation_reasons[2]
    assert receipt.capabilities.checks == ("add", "cat", "compare")
    assert receipt.capabilities.can == ("add", "export", "gc", "pin", "read", "write")
    assert ipfs.get_last_backend_selection() == receipt
    assert json.loads(json.dumps(receipt.to_dict()))["capabilities"]["role"] == "cache"


def test_what_was_chosen_has_the_functions_and_is_taken_as_a_backend(tmp_path: Path) -> None:
    chosen = ipfs.get_backend(backend=ipfs.HfCache("cache", tmp_path))
    cid = chosen.add_bytes(b"data")
    assert chosen.cat(cid) == ipfs.cat(cid, backend=chosen) == b"data"
    assert chosen.pin_ls() == [cid]
    selection = ipfs.get_last_backend_selection()
    assert selection is not None
    assert not selection.degraded


def test_none_is_an_error_that_tells_of_each() -> None:
    with pytest.raises(ipfs.BackendUnavailable, match="Down: add_bytes raises RuntimeError: no daemon"):
        ipfs.get_backend_with_receipt(backend=[Down()])


def test_roles_and_capabilities_come_from_a_probe(tmp_path: Path) -> None:
    assert ipfs.classify_backend_role(ipfs.HfCache("cache", tmp_path)) == ipfs.BackendRole.CACHE
    assert ipfs.classify_backend_role(InMemory()) == ipfs.BackendRole.UNKNOWN
    assert ipfs.classify_backend_role(ipfs.KuboRpc("dead", "http://127.0.0.1:9")) == ipfs.BackendRole.UNAVAILABLE
    assert ipfs.classify_backend_role(ipfs.KuboCli("dead", "/none/ipfs")) == ipfs.BackendRole.UNAVAILABLE
    told = ipfs.describe_backend_capabilities(Down())
    assert (told.usable, told.can, told.checks, told.reason) == (
        False,
        (),
        (),
        "Down: add_bytes raises RuntimeError: no daemon",
    )
    assert ipfs.describe_backend_capabilities(InMemory()).can == ("add", "pin", "read", "write")
