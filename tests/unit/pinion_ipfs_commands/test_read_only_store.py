"""Commands that write, on a store that this user can only read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinion_ipfs.commands.cli import main
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.store import Store
from tests.support.cars import make_tree
from tests.support.folders import write_files
from tests.support.volumes import read_only

CID, OTHER = (str(make_tree({"a": data}).root) for data in (b"1", b"2"))


@pytest.fixture
def stored(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Store]:
    """Yield a store with a tree that is pinned, twice, and one that is not."""
    for data in (b"1", b"2"):
        assert main(["add", "--store", str(write_files(tmp_path / data.decode(), {"a": data}))]) == 0
    assert main(["pin", CID]) == 0
    assert main(["pin", CID, "--owner", "me"]) == 0
    capsys.readouterr()
    with read_only(store.hf_home):
        yield store


WRITING = [
    ["pin", OTHER],
    ["pin", OTHER, "--owner", "you"],
    ["unpin", CID],
    ["unpin", CID, "--owner", "me"],
    ["gc", "--all"],
    ["gc", "--all", "--everywhere"],
]


def ask(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_what_would_write_names_the_store(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for words in WRITING:
        told = ask(capsys, *words, code=ExitCode.STORAGE)
        assert f"{stored.side} can't be written by this user" in told["message"], words


def test_what_reads_does_so(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert [(pin["cid"], pin["owner"]) for pin in ask(capsys, "pins")] == [(CID, "me"), (CID, "")]
    ask(capsys, "unpin", OTHER, code=ExitCode.NOT_FOUND)


def test_beside_a_kubo_it_has_a_line_of_its_own(
    stored: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBO_API", "http://127.0.0.1:1")
    told = ask(capsys, "gc", "--all", "--everywhere", code=ExitCode.UNREACHABLE)
    assert [each["backend"] for each in told] == ["hf_cache", "kubo_rpc"]
    assert "can't be written by this user" in told[0]["error"]
    assert "can't be written" in ask(capsys, "gc", "--all", code=ExitCode.STORAGE)["message"]
