"""What is installed: the version for `--version`, and one sentence instead of a traceback where an extra is missing."""

import argparse
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

NAME = "pinion-serving"
_NEED_NOTHING = frozenset({"-h", "--help", "--version", "--completion"})
_OURS = ("pinion_contract", "pinion_ipfs", "pinion_operator", "pinion_runtime")


class ShowVersion(argparse.Action):
    """The flag `--version`: print the program's name and the version, and end with 0."""

    def __init__(self, option_strings: Sequence[str], dest: str, program: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="print the version and exit")
        self._program = program

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it; metadata is read here alone, for that takes longer than to hash a file."""
        print(self._program, installed_version())
        parser.exit()


def installed_version() -> str:
    """Return the version of the installed distribution; a source tree that nobody installed has none."""
    try:
        return importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        return "unknown (a source tree that is not installed)"


@contextmanager
def extra_needed(program: str, extra: str, arguments: Sequence[str]) -> Iterator[None]:
    """Import what needs the packages of an extra within; SystemExit with one sentence and status 1 when one is missing.

    What `arguments` ask for may need none of them: help and the version.
    """
    missing = [name for name in _packages(extra) if importlib.util.find_spec(name) is None]
    if missing and not _NEED_NOTHING.intersection(arguments):
        sys.exit(_sentence(program, extra, missing))
    try:
        yield
    except ModuleNotFoundError as error:  # of a package that is too old to have the module
        name = error.name or ""
        if name.partition(".")[0] in ("", *_OURS):
            raise
        sys.exit(_sentence(program, extra, [name]))


def _packages(extra: str) -> list[str]:
    """Return the packages that the extra brings, by the names that they are imported by."""
    try:
        needs = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    of_extra = (need for need in needs if re.search(rf"""extra == ['"]{extra}['"]""", need))
    return [re.split(r"[^A-Za-z0-9_.-]", need, maxsplit=1)[0].replace("-", "_") for need in of_extra]


def _sentence(program: str, extra: str, missing: Sequence[str]) -> str:
    return f"{program}: not installed: {', '.join(missing)} (extra [{extra}]): pip install '{NAME}[{extra}]'"
