"""Every example of the page of the content commands is carried out, in the page's order, and gives what the page shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import Hub, start_hub, stop_hub
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo

PAGE = (Path(__file__).resolve().parents[3] / "docs/content-commands.md").read_text()
BLOCKS: list[str] = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, list[str]]]:
    """Return each command with the lines that the page shows below it."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(BLOCKS).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def pattern(lines: list[str]) -> str:
    """Return what matches the lines: … stands for anything, in a line or instead of lines."""
    return ".*".join(re.escape(part) for part in "\n".join(lines).split("…"))


@pytest.fixture
def small_hub(tmp_path: Path) -> Iterator[Hub]:
    """Return a hub whose model of the page's name is a small one: the hub that tests share has the real one for them."""
    (tmp_path / "hub").mkdir()
    hub = start_hub(tmp_path / "hub")
    try:
        hub.add_repo(hub.minilm, {"config.json": b"{}", "model.safetensors": bytes(100)})
        yield hub
    finally:
        stop_hub(hub)


def test_every_example_gives_what_the_page_shows(kubo: Kubo, small_hub: Hub, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "KUBO_", "PINION_"))}
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": small_hub.endpoint,
        "KUBO_API": kubo.rpc_url,
        "KUBO_API_TOKEN": kubo.token,
    }
    (tmp_path / "work").mkdir()
    told = examples()
    assert len(told) > 15
    for command, shown in told:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path / "work",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        printed = done.stdout.decode().strip()
        assert re.fullmatch(pattern(shown), printed, re.DOTALL), f"$ {command}\n{printed}\nand not what the page shows"
