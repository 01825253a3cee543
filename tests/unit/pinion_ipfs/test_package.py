"""`import pinion_ipfs` costs next to nothing, and gives every name that it has."""

import subprocess
import sys

import pytest

import pinion_ipfs

COSTLY = ("aiohttp", "httpx", "httpx2", "huggingface_hub", "asyncio", "ssl", "urllib.request")
LISTED = "import sys, pinion_ipfs; print(*sys.modules)"


def test_importing_it_costs_no_http_client() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LISTED], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert "pinion_ipfs" in loaded
    assert [name for name in COSTLY if name in loaded] == []
    assert [name for name in loaded if name.startswith("pinion_ipfs.")] == []


@pytest.mark.parametrize("name", pinion_ipfs.__all__)
def test_every_name_is_brought_when_it_is_asked_for(name: str) -> None:
    assert getattr(getattr(pinion_ipfs, name), "__name__", name) == name  # a number has none
    assert name in dir(pinion_ipfs)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pinion_ipfs' has no attribute 'nothing'"):
        getattr(pinion_ipfs, "nothing")  # noqa: B009 - mypy refuses the attribute itself
