"""What commands say of a store whose bytes have changed."""

import json
from pathlib import Path

import pytest

from pinion_ipfs.commands.cli import main
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.store import Store
from tests.support.cars import make_tree
from tests.support.folders import write_files

FILES = {"w": b"w" * 1000}
CID = str(make_tree(FILES).root)


@pytest.mark.parametrize("words", [["cat", f"{CID}/w"], ["get", f"{CID}/w", "out"]], ids=lambda words: words[0])
def test_a_damaged_blob_is_a_mismatch(
    words: list[str], store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["add", "--store", str(write_files(tmp_path / "model", FILES))]) == 0
    next(store.cache_dir.glob("*/blobs/*")).write_bytes(b"x" + b"w" * 999)
    capsys.readouterr()
    assert main([*words, "--json"]) == ExitCode.MISMATCH
    told = capsys.readouterr()
    answer = json.loads(told.err if words[0] == "cat" else told.out)
    assert answer["error"] == "CIDMismatch"
    assert "block 0, from hf_cache)" in answer["message"]
