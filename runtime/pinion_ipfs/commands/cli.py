"""`pinion-ipfs`: address, export, unpack, verify, fetch and read content on the command line."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..content.errors import ContentError, MalformedCar
from ..errors import BackendUnauthorized, ContentMissing
from ..hub.xet_choice import CHOICES as XET_CHOICES
from ..hub.xet_choice import HELP as XET_HELP
from ..program.arguments import Parser, UsageError, host, http_url, pattern, port_or_any, seconds, whole_number
from ..program.distribution import ShowVersion
from ..program.printable import printable
from . import interrupting, local, standard_streams
from .arguments import cid, content, instance, repository, revision
from .environment import check_backends, check_store

Command = Callable[[argparse.Namespace], int]
PROGRAM = "pinion-ipfs"
EXIT_FAILED, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0; 1 when content is wrong or out of reach, or nobody reads our output any more; 2 for a wrong use; 130 or 143 when a signal
    ended it.
    """
    options = make_parser().parse_args(arguments)
    command: Command = options.command
    try:
        check_backends()
        code = command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        standard_streams.forget_output()  # whoever read it has gone, and knows
        return EXIT_FAILED
    except UsageError as error:
        print(f"{PROGRAM}: {printable(str(error))}", file=sys.stderr)
        return EXIT_USAGE
    except (ContentError, OSError) as error:
        _fail(options, error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return interrupting.exit_code()
    return code


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets `command` to what runs it."""
    parser = Parser(PROGRAM, description="Address, export, unpack, verify, fetch and read content.")
    parser.add_argument("--version", action=ShowVersion, program=PROGRAM)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("--json", action="store_true", help="print JSON instead of text")
        command.set_defaults(command=run)
        return command

    command = add("add", _add, "print the CID that `ipfs add -r --hidden --dereference-symlinks` gives, and pin it in Kubo")
    command.add_argument("path", type=Path, help="a file or a directory, links followed")
    command.add_argument("--only-hash", action="store_true", help="compute the CID and store nothing")
    _choice_arguments(command)
    _kubo_argument(command)
    command = add("export", _export, "write a file or directory as a CAR")
    command.add_argument("path", type=Path, help="a file or a directory, links followed")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="the CAR to write (default: standard output)")
    _choice_arguments(command)
    command = add("import", local.import_car, "unpack a CAR into a new directory, each block verified")
    _car_arguments(command)
    command.add_argument("target", type=Path, help="the directory or file to make; it must not exist")
    command = add("verify", local.verify_car, "check that a CAR is whole and right, block by block")
    _car_arguments(command)
    command = add("get", _remote("get"), "write content to a new directory or file, each block verified")
    _read_arguments(command)
    command.add_argument("target", type=Path, help="the directory or file to make; it must not exist")
    _read_arguments(add("cat", _remote("cat"), "write a file to standard output, each block verified"))
    _read_arguments(add("ls", _remote("ls"), "list a directory: CID, bytes with all below, name"))
    command = add("backends", _backends, "try each backend with a round trip, and say which can be used, and why not")
    _gateway_argument(command)
    _kubo_argument(command)
    add("pins", _remote("pins"), "list the pins of the local store: CID, model, owner, backends")
    command = add("fetch", _fetch, "bring a model of the hub into the local store, verify it and print its CID")
    command.add_argument("repo", type=repository, help="for one: sentence-transformers/all-MiniLM-L6-v2")
    command.add_argument(
        "--revision", type=revision, default="main", metavar="REVISION", help="a branch, tag or commit (default: main)"
    )
    command.add_argument(
        "--endpoint",
        type=http_url,
        default="",
        metavar="URL",
        help="the hub's address (default: the library's own, or HF_ENDPOINT)",
    )
    command.add_argument("--cid", type=cid, metavar="CID", help="accept nothing but this CID")
    command.add_argument("--xet", default="", choices=XET_CHOICES, metavar="WHEN", help=XET_HELP)
    command.add_argument("--offline", action="store_true", help="verify what the local store has, and ask nobody")
    _serve_arguments(add("serve", _serve, "give models of the local store to peers over HTTP: GET and HEAD, with a token"))
    return parser


def _serve_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("roots", nargs="*", type=cid, metavar="CID", help="models to serve (default: all that are pinned)")
    command.add_argument(
        "--token-file", type=Path, metavar="FILE", required=True, help="the bearer token that every request must carry"
    )
    command.add_argument(
        "--host", type=host, default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0: all of them (default: 127.0.0.1)"
    )
    command.add_argument("--port", type=port_or_any, default=8082, metavar="N", help="default: 8082; 0: a free one")
    command.add_argument("--hf-home", type=Path, metavar="DIR", help="the store (default: HF_HOME)")
    command.add_argument(
        "--max-connections", type=whole_number(1, 65536), default=128, metavar="N", help="at a time (default: 128)"
    )
    command.add_argument(
        "--stall-seconds", type=seconds(0.1, 86400), default=30.0, metavar="S", help="a peer that takes nothing is dropped"
    )
    command.add_argument(
        "--instance",
        type=instance,
        default="",
        metavar="NAME",
        help="the name among peers (default: the host's, and a random part)",
    )
    command.add_argument("--orders", action="store_true", help="serve what standard input says, until its end")


def _choice_arguments(command: argparse.ArgumentParser) -> None:
    for flag, text in (
        ("--allow", "take only files that match, such as '*.json'; repeatable"),
        ("--ignore", "leave out files that match; repeatable"),
    ):
        command.add_argument(flag, action="append", type=pattern, default=[], metavar="PATTERN", help=text)


def _car_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("car", help="the CAR to read; - for standard input")
    command.add_argument("--root", type=cid, metavar="CID", help="the CID that it must hold (default: the root that it names)")


def _read_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", type=content, metavar="CID[/PATH]", help="what to read, by its CID or a path below one")
    _gateway_argument(command)
    _kubo_argument(command)


def _gateway_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument("--gateway", type=http_url, default="", metavar="URL", help="a trustless HTTP gateway to ask last")


def _kubo_argument(command: argparse.ArgumentParser) -> None:
    text = "Kubo's RPC API (default: KUBO_API); its bearer token is read from KUBO_API_TOKEN"
    command.add_argument("--kubo-api", type=http_url, default="", metavar="URL", help=text)


def _add(options: argparse.Namespace) -> int:
    return local.only_hash(options) if options.only_hash else _remote("add")(options)


def _export(options: argparse.Namespace) -> int:
    if options.output is None and sys.stdout.isatty():
        raise UsageError("export: not writing a CAR to a terminal; use -o FILE or a pipe")
    return local.export_car(options)


def _remote(name: str) -> Command:
    def run(options: argparse.Namespace) -> int:
        if name != "add":
            check_store()
        from . import remote  # not at the top: its HTTP client takes longer to import than a small file to hash

        command: Command = getattr(remote, name)
        return command(options)

    return run


def _backends(options: argparse.Namespace) -> int:
    check_store()
    from .backends import backends  # not at the top: their HTTP client is slow to import

    return backends(options)


def _fetch(options: argparse.Namespace) -> int:
    check_store()
    from .fetch import fetch  # not at the top: the hub's client is slow to import

    return fetch(options)


def _serve(options: argparse.Namespace) -> int:
    if options.hf_home is None:
        check_store()
    from .serve import serve  # not at the top: nothing else needs the store's and the server's imports

    return serve(options)


def _fail(options: argparse.Namespace, error: ContentError | OSError) -> None:
    reason, message = _reason(error), _message(error)
    if not options.json:
        print(f"{PROGRAM}: {reason}: {printable(message)}", file=sys.stderr)
        return
    try:
        print(json.dumps({"error": reason, "message": message}), flush=True)
    except OSError:  # what failed is our output
        standard_streams.forget_output()
        print(f"{PROGRAM}: {reason}: {printable(message)}", file=sys.stderr)


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
