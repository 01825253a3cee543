"""One exit code for each kind of failure, and JSON for each of them where JSON was asked for."""

import errno
import json
from pathlib import Path

import pytest

from pinion_ipfs import errors
from pinion_ipfs.commands.cli import main
from pinion_ipfs.commands.exit_codes import MEANINGS, ExitCode, exit_code_of
from pinion_ipfs.content.errors import ContentError

CID = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
FULL = {"needed_bytes": 2, "available_bytes": 1}
ERRORS: list[tuple[ContentError | OSError, ExitCode]] = [
    (errors.ContentMissing("x"), ExitCode.NOT_FOUND),
    (errors.SourceNotFound("x"), ExitCode.NOT_FOUND),
    (FileNotFoundError(errno.ENOENT, "x"), ExitCode.NOT_FOUND),
    (errors.CidMismatch("x", expected=1, actual=2), ExitCode.MISMATCH),
    (errors.BlockMismatch("x", expected=1, actual=2), ExitCode.MISMATCH),
    (errors.DigestMismatch("x"), ExitCode.MISMATCH),
    (errors.StoreCorrupted("x", paths=("a",)), ExitCode.MISMATCH),
    (errors.TruncatedCar("x"), ExitCode.MISMATCH),
    (errors.BackendUnavailable("x"), ExitCode.UNREACHABLE),
    (errors.BackendBusy("x"), ExitCode.UNREACHABLE),
    (errors.NoAnswer("x"), ExitCode.UNREACHABLE),
    (errors.OriginRateLimited("x"), ExitCode.UNREACHABLE),
    (errors.DownloadStalled("x"), ExitCode.UNREACHABLE),
    (errors.PinFailed("x"), ExitCode.UNREACHABLE),
    (errors.StorageFilled("x", **FULL), ExitCode.STORAGE),
    (errors.StoreInaccessible("x"), ExitCode.STORAGE),
    (OSError(errno.ENOSPC, "x"), ExitCode.STORAGE),
    (errors.BackendUnauthorized("x"), ExitCode.REFUSED),
    (errors.TokenRefused("x"), ExitCode.REFUSED),
    (errors.AddressRefused("x"), ExitCode.REFUSED),
    (errors.PinOfOthers("x"), ExitCode.REFUSED),
    (errors.OwnerTaken("x"), ExitCode.REFUSED),
    (errors.UnsupportedDag("x"), ExitCode.UNSUPPORTED),
    (errors.UnreadableSource("x"), ExitCode.UNSUPPORTED),
    (PermissionError(errno.EACCES, "x"), ExitCode.FAILED),
    (FileExistsError(errno.EEXIST, "x"), ExitCode.FAILED),
]


@pytest.mark.parametrize(
    ("error", "code"), ERRORS, ids=lambda value: type(value).__name__ if isinstance(value, Exception) else ""
)
def test_an_error_has_the_code_of_its_kind(error: ContentError | OSError, code: ExitCode) -> None:
    assert exit_code_of(error) is code


def test_each_code_has_a_meaning() -> None:
    assert list(MEANINGS) == list(ExitCode)


@pytest.mark.parametrize(
    "words", [["ls", "no-cid"], ["nope"], [], ["verify", "x", "y", "z"], ["export", "-o", "x.car", "y", "z"]], ids=str
)
def test_a_wrong_use_in_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code == ExitCode.USAGE
    told = capsys.readouterr()
    assert json.loads(told.out)["error"] == "Usage"
    assert told.err == ""


@pytest.mark.parametrize("words", [["cat", "no-cid"], ["cat", CID, "--port", "1"], ["cat", ""], ["export", "x", "y"]], ids=str)
def test_nor_does_it_go_where_content_goes(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code == ExitCode.USAGE
    told = capsys.readouterr()
    assert json.loads(told.err)["error"] == "Usage"
    assert told.out == ""


WITHOUT_EFFECT = {
    "add --only-hash --kubo-api": ["add", ".", "--only-hash", "--kubo-api", "http://127.0.0.1:1"],
    "add --store --kubo-api": ["add", ".", "--store", "--kubo-api", "http://127.0.0.1:1"],
    "fetch --offline --endpoint": ["fetch", "org/name", "--offline", "--endpoint", "http://127.0.0.1:1"],
    "fetch --offline --xet": ["fetch", "org/name", "--offline", "--xet", "never"],
    "gc --all --low": ["gc", "--all", "--low", "0"],
    "gc --kubo-api": ["gc", "--all", "--kubo-api", "http://127.0.0.1:1"],
    "pin --owner --kubo-api": ["pin", CID, "--owner", "me", "--kubo-api", "http://127.0.0.1:1"],
    "unpin --owner --kubo-api": ["unpin", CID, "--owner", "me", "--kubo-api", "http://127.0.0.1:1"],
    "serve --orders CID": ["serve", CID, "--token-file", "token", "--orders"],
    "verify CID --root": ["verify", ".", CID, "--root", CID],
    "verify CAR --gateway": ["verify", "x.car", "--gateway", "http://127.0.0.1:1"],
    "verify CAR --kubo-api": ["verify", "x.car", "--kubo-api", "http://127.0.0.1:1"],
}


@pytest.mark.parametrize("words", WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT)
def test_an_option_without_effect_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.USAGE
    assert "no effect" in capsys.readouterr().err
    assert main([*words, "--json"]) == ExitCode.USAGE
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "Usage"
    assert "no effect" in told["message"]


@pytest.mark.parametrize(("option", "value"), [("--endpoint", "http://127.0.0.1:1"), ("--xet", "never")])
def test_nor_one_beside_the_hubs_own_switch(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read from the environment once, at its import
    assert main(["fetch", "org/name", option, value]) == ExitCode.USAGE
    assert f"{option} has no effect where HF_HUB_OFFLINE is set" in capsys.readouterr().err


def test_a_backend_list_without_a_kubo_is_no_place_to_add_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBO_API", "http://127.0.0.1:1")
    monkeypatch.setenv("IPFS_BACKEND", "hf_cache")
    assert main(["add", str(tmp_path)]) == ExitCode.USAGE
    assert "IPFS_BACKEND names no Kubo" in capsys.readouterr().err
