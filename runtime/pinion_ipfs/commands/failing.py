"""How a command says what ended it: a line on standard error, or a JSON object where the results would have gone."""

import argparse
import json
import os
import sys

from ..content.errors import ContentError, MalformedCar
from ..errors import BackendUnauthorized, ContentMissing
from ..program.arguments import UsageError
from ..program.printable import printable
from . import standard_streams
from .exit_codes import ExitCode, exit_code_of
from .output import facts_stream

PROGRAM = "pinion-ipfs"
USAGE = "Usage"


def fail(options: argparse.Namespace, error: ContentError | OSError | UsageError) -> ExitCode:
    """Print what ended the command, and return its exit code."""
    if isinstance(error, UsageError):
        _say(options, USAGE, str(error), f"{PROGRAM}: {printable(str(error))}")
        return ExitCode.USAGE
    reason, message = _reason(error), _message(error)
    _say(options, reason, message, f"{PROGRAM}: {reason}: {printable(message)}", getattr(error, "facts", {}))
    return exit_code_of(error)


def error_object(reason: str, message: str) -> dict[str, object]:
    """Return what is said of an error in JSON."""
    return {"error": reason, "message": message}


def _say(options: argparse.Namespace, reason: str, message: str, line: str, facts: dict[str, object] | None = None) -> None:
    if options.json:
        try:
            print(json.dumps(error_object(reason, message) | (facts or {})), file=facts_stream(options), flush=True)
        except OSError:  # what failed is our output
            standard_streams.forget_output()
        else:
            return
    print(line, file=sys.stderr)


def _reason(error: ContentError | OSError) -> str:
    if isinstance(error, MalformedCar):
        return type(error).__name__  # pods call it a failed download: here it may be a file
    if isinstance(error, ContentMissing):
        return ContentMissing.__name__  # each of them answers
    if isinstance(error, BackendUnauthorized):
        return "Unauthorized"
    return error.reason if isinstance(error, ContentError) else type(error).__name__


def _message(error: ContentError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        return f"{where}: {error.strerror}" if where else error.strerror
    return str(error)
