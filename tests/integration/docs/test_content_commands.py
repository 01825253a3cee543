"""Every example of the page of the content commands is carried out, in the page's order, and gives what the page shows."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console_pages import carry_out
from tests.support.hub import Hub, start_hub, stop_hub
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo


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
    assert carry_out("content-commands.md", tmp_path / "work", environment) > 15
