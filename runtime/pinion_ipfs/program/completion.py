"""Completion of a command line in bash, zsh and fish: what a shell loads once, and the answers that it then asks for."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

SHELLS = ("bash", "zsh", "fish")
_ASKED = "_ARGCOMPLETE"  # set by what the shell has loaded


class ShowCompletion(argparse.Action):
    """The option `--completion SHELL`: print what the shell has to load, and end with 0."""

    def __init__(self, option_strings: Sequence[str], dest: str, program: str) -> None:
        text = f"print what completes this command in a shell, for it to load ({', '.join(SHELLS)}), and exit"
        super().__init__(option_strings, argparse.SUPPRESS, choices=SHELLS, metavar="SHELL", help=text)
        self._program = program

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Print it."""
        from argcomplete.shell_integration import shellcode  # not at the top: a command that completes nothing needs none of it

        print(shellcode([self._program], shell=values))
        parser.exit()


def complete_when_asked(make_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Answer a shell that asks what could come next, and end the process; return when none asks."""
    if _ASKED in os.environ:
        import argcomplete  # not at the top, as above

        argcomplete.autocomplete(make_parser())
