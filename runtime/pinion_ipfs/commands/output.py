"""What the commands share: one way to print results, and partial names for what is written."""

import argparse
import json
import secrets
import sys
from pathlib import Path
from typing import TextIO

from ..content.cid import Cid
from ..content.unixfs import FileLayout, TreeLayout


def show(options: argparse.Namespace, text: str, facts: object) -> None:
    """Print `text`, or `facts` as JSON when that was asked for."""
    print(json.dumps(facts) if options.json else text, file=facts_stream(options))


def facts_stream(options: argparse.Namespace) -> TextIO:
    """Return where results and errors in JSON go: standard output, or standard error where content takes that."""
    return stream_of(options.name, to_file=options.name != "export" or options.output is not None)


def stream_of(command: str, *, to_file: bool) -> TextIO:
    """Return the same for a command by its name; `export` writes to standard output unless it writes `to_file`."""
    pours = command == "cat" or (command == "export" and not to_file)
    return sys.stderr if pours else sys.stdout


def root_of(layout: TreeLayout | FileLayout) -> Cid:
    """Return the CID of a directory or a file."""
    return layout.cid if isinstance(layout, FileLayout) else layout.root


def facts_of(layout: TreeLayout | FileLayout) -> dict[str, object]:
    """Return what is said of a layout in JSON."""
    files = 1 if isinstance(layout, FileLayout) else len(layout.files)
    return {"cid": str(root_of(layout)), "size": layout.size, "files": files}


def partial_of(path: Path) -> Path:
    """Return a name beside `path` that nobody else uses, for what is not whole yet. Short: `path` may have the longest name."""
    return path.parent / f".pinion-{secrets.token_hex(6)}.partial"
