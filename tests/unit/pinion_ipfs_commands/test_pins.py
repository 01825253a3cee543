"""`add --store`, `pin`, `unpin`, `pins` and `status` on the local store alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pinion_ipfs.commands.cli import main
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.store import Store
from tests.support.cars import make_tree
from tests.support.folders import write_files

FILES = {"config.json": b"{}", "weights/a": bytes(3_000_000)}
CID = str(make_tree(FILES).root)
OTHER = str(make_tree({"other": b"o"}).root)


@pytest.fixture
def stored(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Store:
    """Return a store with two trees."""
    for name, files in (("model", FILES), ("other", {"other": b"o"})):
        assert main(["add", "--store", str(write_files(tmp_path / name, files))]) == 0
    capsys.readouterr()
    return store


def ask(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_folder_comes_into_the_store(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ask(capsys, "add", "--store", str(write_files(tmp_path / "model", FILES)))
    commit = Cid.parse(CID).digest.hex()[:40]
    assert told["path"] == str(store.cache_dir / f"models--ipfs--{CID}" / "snapshots" / commit)
    assert told | {"path": "", "manifestCid": ""} == {
        "cid": CID,
        "size": 3_000_002,
        "files": 2,
        "repo": f"ipfs/{CID}",
        "commit": commit,
        "path": "",
        "manifestCid": "",
    }
    shutil.rmtree(tmp_path / "model")
    assert main(["get", CID, str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/weights/a").read_bytes() == FILES["weights/a"]


def test_patterns_choose_what_comes_into_the_store(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_files(tmp_path / "model", FILES)
    told = ask(capsys, "add", "--store", "--allow", "*.json", str(folder))
    assert told["cid"] == str(make_tree({"config.json": b"{}"}).root)


def test_what_a_store_cannot_hold(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_files(tmp_path / "model", FILES)
    (folder / "weights/none").mkdir()
    assert (
        "weights/none: an empty directory" in ask(capsys, "add", "--store", str(folder), code=ExitCode.UNSUPPORTED)["message"]
    )
    assert "takes a directory" in ask(capsys, "add", "--store", str(folder / "config.json"), code=ExitCode.USAGE)["message"]
    ask(capsys, "add", "--store", str(folder / "weights/none"), code=ExitCode.UNSUPPORTED)
    ask(capsys, "add", "--store", str(folder / "nothing"), code=ExitCode.NOT_FOUND)
    assert not list(store.cache_dir.glob("models--*"))


def test_a_pin_without_an_owner(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "pin", CID) == {"cid": CID, "owner": "", "backend": "hf_cache"}
    (pin,) = ask(capsys, "pins")
    assert (pin["cid"], pin["owner"], pin["backends"]) == (CID, "", ["hf_cache"])
    assert ask(capsys, "unpin", CID) == {
        "cid": CID,
        "owner": "",
        "backends": ["hf_cache"],
        "stayed": [],
        "unanswered": [],
    }
    assert ask(capsys, "pins") == []
    assert ask(capsys, "unpin", CID, code=ExitCode.NOT_FOUND)["error"] == "ContentMissing"


def test_pins_of_owners(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for owner in ("me", "you"):
        ask(capsys, "pin", CID, "--owner", owner)
    assert [(pin["cid"], pin["repo"], pin["owner"]) for pin in ask(capsys, "pins")] == [
        (CID, f"ipfs/{CID}", "me"),
        (CID, f"ipfs/{CID}", "you"),
    ]
    assert main(["pins"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == [CID, f"ipfs/{CID}@{Cid.parse(CID).digest.hex()[:40]}", "me", "-"]
    refused = ask(capsys, "unpin", CID, code=ExitCode.REFUSED)
    assert refused["error"] == "PinOfOthers"
    assert "me, you; name one by --owner" in refused["message"]
    ask(capsys, "unpin", CID, "--owner", "me")
    assert [pin["owner"] for pin in ask(capsys, "pins")] == ["you"]
    ask(capsys, "unpin", CID, "--owner", "me", code=ExitCode.NOT_FOUND)
    assert "you, who has" in ask(capsys, "unpin", OTHER, "--owner", "you", code=ExitCode.NOT_FOUND)["message"]


def test_a_pin_without_an_owner_goes_while_owners_keep_theirs(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    ask(capsys, "pin", CID)
    ask(capsys, "pin", CID, "--owner", "me")
    assert [(pin["cid"], pin["owner"]) for pin in ask(capsys, "pins")] == [(CID, "me"), (CID, "")]
    told = ask(capsys, "unpin", CID)
    assert told["backends"] == ["hf_cache"]
    assert told["stayed"] == [{"backend": "hf_cache", "reason": "owners have it pinned: me; name one by --owner"}]
    ask(capsys, "pin", CID)
    assert main(["unpin", CID]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{CID} is no longer pinned in hf_cache",
        "stays pinned in hf_cache: owners have it pinned: me; name one by --owner",
    ]
    assert [(pin["cid"], pin["owner"]) for pin in ask(capsys, "pins")] == [(CID, "me")]


def test_owners_that_are_not_the_users(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("pin", "unpin"):
        refused = ask(capsys, command, CID, "--owner", f"models/{CID}", code=ExitCode.REFUSED)
        assert refused["error"] == "PinOfOthers"
        assert "ModelManager" in refused["message"]
    ask(capsys, "pin", CID, "--owner", "me")
    record = stored.pins.get("me")
    assert record
    stored.pin(replace(record, owner="uid/revision", backends=("kubo",)))
    assert [pin["owner"] for pin in ask(capsys, "pins")] == ["me", "uid/revision"]
    told = ask(capsys, "unpin", CID, "--owner", "uid/revision")
    assert [each["backend"] for each in told["stayed"]] == ["kubo"]
    assert "of a ModelDeployment with its end" in told["stayed"][0]["reason"]
    assert [pin["owner"] for pin in ask(capsys, "pins")] == ["me"], "what outlives its ModelDeployment could never be collected"


def test_a_kubo_that_does_not_answer_hides_nothing_and_is_named(
    stored: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(capsys, "pin", CID, "--owner", "me")
    ask(capsys, "pin", OTHER)
    monkeypatch.setenv("KUBO_API", "http://127.0.0.1:1")
    assert main(["pins", "--json"]) == ExitCode.UNREACHABLE
    told = capsys.readouterr()
    assert [(pin["cid"], pin["owner"]) for pin in json.loads(told.out)] == [(CID, "me"), (OTHER, "")]
    assert told.err.startswith("pinion-ipfs: kubo_rpc does not say what it has pinned: ")
    done = ask(capsys, "unpin", OTHER, code=ExitCode.UNREACHABLE)
    assert (done["backends"], [each["backend"] for each in done["unanswered"]]) == (["hf_cache"], ["kubo_rpc"])
    assert "may be pinned in kubo_rpc" in ask(capsys, "unpin", OTHER, code=ExitCode.UNREACHABLE)["message"]


def test_an_owner_has_one_pin(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    ask(capsys, "pin", CID, "--owner", "me")
    ask(capsys, "pin", CID, "--owner", "me")
    assert ask(capsys, "pin", OTHER, "--owner", "me", code=ExitCode.REFUSED)["error"] == "OwnerTaken"
    assert [pin["cid"] for pin in ask(capsys, "pins")] == [CID]


@pytest.mark.parametrize("owner", [[], ["--owner", "me"]], ids=["nobody", "an owner"])
def test_what_is_not_wholly_there_is_not_pinned(stored: Store, owner: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ask(capsys, "pin", str(make_tree({"never": b"added"}).root), *owner, code=ExitCode.NOT_FOUND)
    blob = next(path for path in stored.cache_dir.glob("*/blobs/*") if path.stat().st_size == 3_000_000)
    blob.write_bytes(bytes(2_999_999) + b"x")
    ask(capsys, "pin", CID, *owner, code=ExitCode.NOT_FOUND)
    assert ask(capsys, "pins") == []


def test_an_owner_whose_name_is_too_long_for_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["pin", CID, "--owner", "é" * 40])
    assert "at most 200 bytes" in capsys.readouterr().err


def test_the_status(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    ask(capsys, "pin", CID, "--owner", "me")
    told = ask(capsys, "status", "--gateway", "http://127.0.0.1:1")
    assert told["store"]["path"] == str(stored.cache_dir)
    assert 3_000_003 < told["store"]["bytes"] < 3_100_000
    assert told["store"]["freeBytes"] > 0
    assert told["pins"] == 1
    assert {each["cid"]: (each["bytes"], each["whole"], each["owners"]) for each in told["revisions"]} == {
        CID: (3_000_002, True, ["me"]),
        OTHER: (1, True, []),
    }
    states = {each["name"]: each["state"] for each in told["backends"]}
    assert (states["hf_cache"], states["gateway"], states["kubo_rpc"]) == ("Usable", "Unusable", "NotConfigured")
    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert f"  {CID}  ipfs/{CID}@{Cid.parse(CID).digest.hex()[:40]}  3000002 bytes, pinned for me\n" in text
    next(path for path in stored.cache_dir.glob("*/blobs/*") if path.stat().st_size == 3_000_000).unlink()
    assert {each["cid"]: each["whole"] for each in ask(capsys, "status")["revisions"]} == {CID: False, OTHER: True}


def test_the_status_of_a_store_that_is_not_there_yet(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    told = ask(capsys, "status")
    assert (told["revisions"], told["pins"]) == ([], 0)
