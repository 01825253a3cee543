"""What tests of ModelDeployments share."""

import secrets

import pytest

from tests.support.hub import Hub


@pytest.fixture
def repo(hub: Hub) -> str:
    """Return a small repository of the test's own."""
    name = f"pinion-tests/moves-{secrets.token_hex(4)}"
    hub.add_repo(name, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"first"})
    return name
