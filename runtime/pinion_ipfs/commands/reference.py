"""The tables of docs/content-commands.md, from the parser: `python -m pinion_ipfs.commands.reference write|check`."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ..content.car_blocks import KEPT_BYTES
from ..content.car_header import MAX_PADDING, MAX_ROOTS
from ..content.car_index import MAX_BLOCKS
from ..content.car_reader import MAX_BLOCK
from ..content.car_spool import MAX_SPOOL_BYTES
from ..content.cid import MAX_INLINE
from ..content.names import MAX_DEPTH, MAX_ENTRIES, MAX_NAME_BYTES
from ..content.verify import MAX_FILE_DEPTH, MAX_FILE_LINKS
from ..program.generated_page import fill, write_or_check
from .exit_codes import MEANINGS
from .interrupting import UNWIND_SECONDS
from .parser import make_parser

PAGE = Path("docs/content-commands.md")


def render(page: str) -> str:
    """Return the page with its tables made anew."""
    return fill(page, _TABLES)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, in their order."""
    (found,) = (action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def _commands() -> str:
    rows = ((f"[`{name}`](#{name})", (parser.description or "").rstrip(".")) for name, parser in commands().items())
    return _table(("command", "does"), rows)


def _options(name: str) -> str:
    parser = commands()[name]
    words = " ".join(("pinion-ipfs", name, *_usage(parser)))
    rows = ((_shown(action), (action.help or "").replace("|", "\\|")) for action in _actions(parser) if action.help)
    return f"`{words}`\n\n" + _table(("option", "means"), rows)


def _usage(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in _actions(parser):
        if not action.option_strings:
            many = "..." if action.nargs == "*" else ""
            yield f"[{_name(action)}{many}]" if action.nargs in ("*", "?") else _name(action)
        elif action.required:
            yield f"{action.option_strings[-1]} {_name(action)}"
    yield "[option...]"


def _shown(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_name(action)}`"
    value = "" if action.nargs == 0 else f" {_name(action)}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _name(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return positional arguments first, then options, help aside."""
    kept = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    return sorted(kept, key=lambda action: bool(action.option_strings))


def _bounds() -> str:
    mebibyte = 1024 * 1024
    rows = [
        (f"{MAX_ENTRIES:,}", "files and directories of a tree"),
        (f"{MAX_DEPTH}", "directories below each other"),
        (f"{MAX_NAME_BYTES}", "bytes of a name"),
        (f"{MAX_BLOCK // mebibyte} MiB", "a block of a CAR that is read"),
        (f"{MAX_FILE_LINKS:,}", "links of a file's node that is read"),
        (f"{MAX_FILE_DEPTH}", "levels of nodes in a file that is read"),
        (f"{MAX_INLINE}", "bytes of a block within its CID (identity hash)"),
        (f"{MAX_ROOTS}", "roots of a CAR that is read"),
        (f"{MAX_BLOCKS:,}", "different blocks of a CAR in another order than depth first"),
        (f"{KEPT_BYTES // mebibyte} MiB", "between a block and the first repeat that a pipe leaves out"),
        (f"{MAX_SPOOL_BYTES // 1024**3} GiB", "blocks of a pipe that come before their turn: they wait in a temporary file"),
        (f"{MAX_PADDING // mebibyte} MiB", "padding in a CAR of version 2"),
        (f"{UNWIND_SECONDS:g} s", "from a signal to the end, when something hangs"),
    ]
    return _table(("at most", "of"), rows)


def _exit_codes() -> str:
    signals = [("129, 130, 143", "a SIGHUP, SIGINT or SIGTERM ended it; what was half written is gone")]
    return _table(("code", "means"), [*((str(int(code)), meaning) for code, meaning in MEANINGS.items()), *signals])


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)) + "\n"


_TABLES: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "bounds": _bounds,
    "exit_codes": _exit_codes,
    **{name: partial(_options, name) for name in commands()},
}


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say that it is not what would be written; the exit status is 1 then."""
    return write_or_check("pinion_ipfs.commands.reference", __doc__, PAGE, render, arguments)


if __name__ == "__main__":
    sys.exit(main())
