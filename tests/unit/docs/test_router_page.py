"""Every example of the page of the router as a library is carried out, in the page's order; every function is in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pinion_ipfs
from pinion_ipfs import aio
from pinion_ipfs.functions import blocking

PAGE = (Path(__file__).resolve().parents[3] / "docs/router-as-a-library.md").read_text()
BLOCKS: list[str] = re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FUNCTIONS = [name for name, value in vars(blocking).items() if getattr(value, "__module__", "") == blocking.__name__]


def test_every_example_gives_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "examples.txt").write_text("\n".join(BLOCKS))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "KUBO_", "IPFS_", "ENABLE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "examples.txt"],
        cwd=tmp_path,
        env={**kept, "HF_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert len(BLOCKS) > 5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_in_the_table_with_its_bound(name: str) -> None:
    assert re.search(rf"^\|.*`{name}\(", PAGE, re.MULTILINE)
    assert name in aio.__all__


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{pinion_ipfs.MAX_BYTES // 1024**2} MiB at most (`MAX_BYTES`)" in PAGE
