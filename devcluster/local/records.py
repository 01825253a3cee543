"""What the machine was like before the cluster: kept in files of the state folder until it is like that again."""

import json
from pathlib import Path
from typing import Any

from ..errors import DevClusterError
from ..removal import remove_tree


def write_record(path: Path, content: object) -> None:
    """Write a record."""
    write_whole(path, json.dumps(content))


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all: whoever writes it may be killed."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def read_record(path: Path) -> Any:
    """Return what was written; a record that cannot be read is deleted, and raises DevClusterError: it never can be."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        remove_tree(path)
        raise DevClusterError(f"the record {path} was damaged: what it told of stays as it is") from None
