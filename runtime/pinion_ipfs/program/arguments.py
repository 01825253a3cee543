"""Kinds of command-line arguments and variables: each refuses in a sentence what it can't be. Empty is never a default.

`--cid "$CID"` with a variable that nobody set must not turn the check off.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from .printable import printable

MAX_TOKEN = 8192  # characters; a longer header is refused by most servers
_EMPTY = "it is empty: is a variable not set? Leave the option out for its default"
_MAX_PATTERN = 256  # characters, as in a ModelDeployment
# No path matches these: absolute ones, negations, `.` and `..`, blanks at an end, {a,b}, a backslash.
_NO_PATTERN = re.compile(r"^[/!]|(^|/)[.]{1,2}(/|$)|^\s|\s$|[{].*,.*[}]|\\")
_DIGITS = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


class UsageError(Exception):
    """What the caller said can't be meant; the message is one sentence."""


class Parser(argparse.ArgumentParser):
    """A parser for which nothing may be empty, and whose complaints hold no control characters of what was given."""

    def parse_args(  # type: ignore[override]  # argparse declares an overload for each type of namespace; our callers have one
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse as argparse does; end with status 2 for an option or argument that is empty or blank."""
        given = sys.argv[1:] if args is None else list(args)
        before = ""
        for number, word in enumerate(given, 1):
            name, equals, value = word.partition("=")
            if word.startswith("--") and equals and not value.strip():
                self.error(f"argument {name}: {_EMPTY}")
            if not word.strip():
                self.error(f"argument {before if before.startswith('-') else number}: {_EMPTY}")
            before = word
        return super().parse_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and end with status 2."""
        super().error(printable(message))


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return the kind of a number between two others, both included."""

    def parse(value: str) -> int:
        number = int(value) if _DIGITS.fullmatch(value.strip()) else None
        if number is None or not low <= number <= high:
            raise argparse.ArgumentTypeError(f"a whole number between {low} and {high}, not {value[:80]!r}")
        return number

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Return the kind of a duration between two others, both included; neither of them is infinite."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not low <= number <= high:  # NaN compares with nothing
            raise argparse.ArgumentTypeError(f"seconds between {low:g} and {high:g}, not {value[:80]!r}")
        return number

    return parse


port = whole_number(1, 65535)
port_or_any = whole_number(0, 65535)


def host(value: str) -> str:
    """Take the name or address of a host to listen on."""
    try:
        good = value.isprintable() and " " not in value and (":" in value or value.encode("idna") is not None)
    except UnicodeError:  # a part of it is empty, or longer than 63
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"the name or address of a host, not {value[:80]!r}")
    return value


def pattern(value: str) -> str:
    """Take a pattern of paths below a model, with *, ? and [abc]: a kind of argument."""
    if len(value) > _MAX_PATTERN:
        raise argparse.ArgumentTypeError(f"a pattern has at most {_MAX_PATTERN} characters")
    if _NO_PATTERN.search(value):
        raise argparse.ArgumentTypeError(
            f"no file matches {value!r}: patterns are paths below the model with *, ? and [abc], such as onnx/*.json"
        )
    return value


def http_url(value: str) -> str:
    """Take the URL of a server, http or https."""
    if value and (problem := url_problem(value)):
        raise argparse.ArgumentTypeError(problem)
    return value


def url_problem(value: str) -> str:
    """Return what keeps a text from being the URL of an HTTP server, '' when nothing does."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        host(parts.hostname or "")
    except (ValueError, argparse.ArgumentTypeError):
        good = False
    if not good or not value.isprintable() or " " in value:
        return f"a URL such as http://127.0.0.1:5001, not {_without_secret(value)!r}"
    if parts.username is not None or parts.query or parts.fragment:
        return "a URL of a server alone: without user, password, query or fragment"
    return ""


def token_problem(token: str) -> str:
    """Return why a bearer token can't be sent in a header, '' when it can; the token itself is not told."""
    if not token:
        return "it is empty"
    if len(token) > MAX_TOKEN:
        return f"it has {len(token)} characters: more than {MAX_TOKEN}"
    if not token.isascii() or not token.isprintable() or token != token.strip():
        return "it holds line ends, blanks at an end or other characters that no token has"
    return ""


def read_token(path: Path) -> str:
    """Return the bearer token in a file, blanks around it aside; raise OSError, or ValueError for what can't be sent."""
    with path.open("rb") as file:
        data = file.read(MAX_TOKEN + 1024)
    token = data.decode("latin-1").strip()  # what is not ASCII is no token in whichever encoding
    if problem := token_problem(token):
        raise ValueError(f"the token in {path}: {problem}")
    return token


def variable(name: str, environment: Mapping[str, str]) -> str:
    """Return the value of a variable, '' when it is not set; raise UsageError for one that is set, and empty."""
    value = environment.get(name)
    if value is not None and not value.strip():
        raise UsageError(f"{name} is set, and empty: give it a value, or unset it")
    return value or ""


def _without_secret(value: str) -> str:
    return re.sub(r"//[^/@]*@", "//...@", value)[:80]
