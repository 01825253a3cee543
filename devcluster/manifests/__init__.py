"""The manifests beside this file, with `$name` where a value comes in."""

import string
from pathlib import Path

_FOLDER = Path(__file__).parent


def render(name: str, **values: str) -> str:
    """Fill in a file of this folder; a value that is missing raises KeyError."""
    return string.Template((_FOLDER / name).read_text()).substitute(values)
