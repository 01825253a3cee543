"""The page of the content commands is what the parser says, and says it of every command."""

import re
import shutil
from pathlib import Path

import pytest

from pinion_ipfs.commands import reference

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / reference.PAGE).read_text()


def test_the_tables_are_current() -> None:
    assert reference.main(["check", "--root", str(ROOT)]) == 0


@pytest.mark.parametrize("command", reference.commands())
def test_a_command_has_its_options_and_an_example(command: str) -> None:
    section = PAGE.partition(f"\n### {command}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert f"<!-- generated: {command} -->" in section
    assert re.search(rf"^\$ .*pinion-ipfs {command}\b", section, re.MULTILINE)


def test_a_page_that_is_behind_is_named_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / reference.PAGE
    path.parent.mkdir()
    shutil.copy(ROOT / reference.PAGE, path)
    path.write_text(PAGE.replace("| `--only-hash` |", "| `--only` |"))
    assert reference.main(["check", "--root", str(tmp_path)]) == 1
    assert "make generate" in capsys.readouterr().err
    assert reference.main(["write", "--root", str(tmp_path)]) == 0
    assert path.read_text() == PAGE
