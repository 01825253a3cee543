"""What the page of content addressing says of plain `ipfs` is so: every example is carried out with the real program."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.console_pages import carry_out

pytestmark = pytest.mark.kubo


def test_every_example_gives_what_the_page_shows(ipfs_binary: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "KUBO_", "PINION_", "IPFS_"))}
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{ipfs_binary.parent}:{os.environ['PATH']}",
        "HF_HOME": str(tmp_path / "home"),
        "IPFS_PATH": str(tmp_path / "ipfs"),
        "IPFS_TELEMETRY": "off",
    }
    (tmp_path / "work").mkdir()
    assert carry_out("content-addressing.md", tmp_path / "work", environment) > 20
