"""`pinion-ipfs gc` on the local store."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinion_ipfs.commands.arguments import byte_count
from pinion_ipfs.commands.cli import main
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.store import Store
from tests.support.cars import make_tree
from tests.support.folders import write_files

CIDS = [str(make_tree({"a": data}).root) for data in (b"1" * 1000, b"2" * 1000)]


def name_of(cid: str) -> str:
    return f"ipfs/{cid}@{Cid.parse(cid).digest.hex()[:40]}"


@pytest.fixture
def stored(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Store:
    """Return a store with two trees, of which the first is pinned."""
    for name in ("1", "2"):
        assert main(["add", "--store", str(write_files(tmp_path / name, {"a": name.encode() * 1000}))]) == 0
    assert main(["pin", "--owner", "me", CIDS[0]]) == 0
    capsys.readouterr()
    return store


def gc(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert main(["gc", "--json", *words]) == code
    return json.loads(capsys.readouterr().out)


def is_there(cid: str, tmp_path: Path) -> bool:
    return main(["get", cid, str(tmp_path / f"out-{cid}")]) == 0


def test_what_is_not_pinned_goes(stored: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (would,) = gc(capsys, "--all", "--dry-run", "--idle-seconds", "0")
    assert (would["backend"], would["dryRun"], would["removed"]) == ("hf_cache", True, [name_of(CIDS[1])])
    assert is_there(CIDS[1], tmp_path)
    capsys.readouterr()
    (done,) = gc(capsys, "--all", "--idle-seconds", "0")
    assert (done["removed"], done["count"], done["error"]) == ([name_of(CIDS[1])], 1, "")
    assert 1000 < done["freed"] < done["used"]
    assert name_of(CIDS[0]) in [kept["name"] for kept in done["kept"]]
    assert is_there(CIDS[0], tmp_path)
    assert not is_there(CIDS[1], tmp_path / "x")


def test_what_was_used_a_moment_ago_stays_and_so_does_all_where_there_is_room(
    stored: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    (done,) = gc(capsys, "--all")
    assert done["removed"] == []
    assert "used a moment ago" in [kept["reason"] for kept in done["kept"]]
    (done,) = gc(capsys, "--high", "1GB", "--idle-seconds", "0")
    assert done["removed"] == []


def test_as_text(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--all", "--idle-seconds", "0"]) == 0
    first, removed, *kept = capsys.readouterr().out.splitlines()
    assert first.startswith("hf_cache: freed ")
    assert removed == f"  removed {name_of(CIDS[1])}"
    assert kept[0].startswith(f"  kept {name_of(CIDS[0])}: ")


def test_a_kubo_is_left_alone_unless_it_is_asked_for(
    stored: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBO_API", "http://127.0.0.1:1")
    assert [done["backend"] for done in gc(capsys, "--all")] == ["hf_cache"]
    told = gc(capsys, "--all", "--everywhere", code=ExitCode.UNREACHABLE)
    assert [(done["backend"], bool(done["error"])) for done in told] == [("hf_cache", False), ("kubo_rpc", True)]


WRONG = {
    "neither": ([], "one of the arguments --high --all is required"),
    "both": (["--high", "1", "--all"], "not allowed with argument"),
    "no size": (["--high", "much"], "a number of bytes such as"),
}


@pytest.mark.parametrize(("words", "complaint"), WRONG.values(), ids=WRONG)
def test_a_wrong_use(words: list[str], complaint: str, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gc", *words])
    assert ended.value.code == ExitCode.USAGE
    assert complaint in capsys.readouterr().err


def test_marks_that_are_upside_down(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--high", "1kB", "--low", "1MB"]) == ExitCode.USAGE
    assert "--low 1000000 is more than --high 1000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("17", 17), ("1.5kB", 1500), ("2KiB", 2048), ("20gib", 20 * 2**30), ("3 TB", 3 * 10**12), ("5B", 5)],
)
def test_sizes(text: str, size: int) -> None:
    assert byte_count(text) == size
