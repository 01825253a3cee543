"""`pinion-ipfs`: address, export, unpack, verify, fetch, keep and read content on the command line."""

import sys
from collections.abc import Sequence

from ..content.errors import ContentError
from ..program.arguments import UsageError
from . import interrupting, standard_streams, without_effect
from .environment import check_backends
from .exit_codes import ExitCode
from .failing import fail
from .parser import Command, json_stream, make_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: an ExitCode, or 130 or 143 when a signal ended it."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = make_parser(json_to=json_stream(given)).parse_args(given)
    command: Command = options.command
    try:
        without_effect.check(options)
        check_backends()
        code = command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        standard_streams.forget_output()  # whoever read it has gone, and knows
        return ExitCode.FAILED
    except (UsageError, ContentError, OSError) as error:
        return fail(options, error)
    except KeyboardInterrupt:
        return interrupting.exit_code()
    return code
