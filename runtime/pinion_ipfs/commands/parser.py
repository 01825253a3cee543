"""The parser of `pinion-ipfs`: each command with its options, and what runs it."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

from ..hub.xet_choice import CHOICES as XET_CHOICES
from ..hub.xet_choice import HELP as XET_HELP
from ..program.arguments import Parser, UsageError, host, http_url, pattern, port_or_any, seconds, whole_number
from ..program.completion import ShowCompletion
from ..program.distribution import ShowVersion
from . import local
from .arguments import byte_count, cid, content, instance, owner, repository, revision
from .environment import check_store
from .failing import PROGRAM, USAGE, error_object
from .output import stream_of

Command = Callable[[argparse.Namespace], int]


class CommandParser(Parser):
    """A parser that complains in JSON where results were asked for in JSON."""

    def __init__(self, *arguments: Any, json_to: TextIO | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._json_to = json_to

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and end with status 2."""
        if self._json_to:
            print(json.dumps(error_object(USAGE, message)), file=self._json_to)
            self.exit(2)
        super().error(message)


def json_stream(arguments: Sequence[str]) -> TextIO | None:
    """Return where a command line that may be wrong wants errors in JSON, None where it wants words.

    argparse takes what an option begins with.
    """
    if not any(len(word) > len("--") and "--json".startswith(word) for word in arguments):
        return None
    command = next((word for word in arguments if not word.startswith("-")), "")
    return stream_of(command, to_file=any(word.startswith(("-o", "--o")) for word in arguments))


def make_parser(*, json_to: TextIO | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets `name`, and `command` to what runs it."""
    parser = CommandParser(
        PROGRAM, json_to=json_to, description="Address, export, unpack, verify, fetch, keep and read content."
    )
    parser.add_argument("--version", action=ShowVersion, program=PROGRAM)
    parser.add_argument("--completion", action=ShowCompletion, program=PROGRAM)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=CommandParser)

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, json_to=json_to, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("--json", action="store_true", help="print JSON instead of text")
        command.set_defaults(command=run, name=name)
        return command

    command = add("add", _add, "print the CID that `ipfs add -r --hidden --dereference-symlinks` gives, and pin it in Kubo")
    command.add_argument("path", type=Path, help="a file or a directory, links followed")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--only-hash", action="store_true", help="compute the CID and store nothing")
    where.add_argument("--store", action="store_true", help="copy a directory into the local store, not into Kubo")
    _choice_arguments(command)
    _kubo_argument(command)
    command = add("export", _export, "write a file or directory as a CAR")
    command.add_argument("path", type=Path, help="a file or a directory, links followed")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="the CAR to write (default: standard output)")
    _choice_arguments(command)
    command = add("import", local.import_car, "unpack a CAR into a new directory, each block verified")
    command.add_argument("car", help="the CAR to read; - for standard input")
    _root_argument(command)
    command.add_argument("target", type=Path, help="the directory or file to make; it must not exist")
    command = add("verify", _verify, "check that a CAR is whole and right, or that files are what a CID says, block by block")
    command.add_argument("path", help="the CAR to read, - for standard input; with a CID the directory or file to compare")
    command.add_argument("against", nargs="?", type=cid, metavar="CID", help="what the directory or file must have")
    _root_argument(command)
    _asked_arguments(command)
    command = add("get", _lazily("remote", "get"), "write content to a new directory or file, each block verified")
    _read_arguments(command)
    command.add_argument("target", type=Path, help="the directory or file to make; it must not exist")
    _read_arguments(add("cat", _lazily("remote", "cat"), "write a file to standard output, each block verified"))
    _read_arguments(add("ls", _lazily("remote", "ls"), "list a directory: CID, bytes with all below, name"))
    command = add(
        "backends",
        _lazily("backends", "backends"),
        "try each backend with a round trip, and say which can be used, and why not",
    )
    _asked_arguments(command)
    for name, text in (
        ("pin", "keep content that is wholly there: in the first backend that has it, or for an owner in the local store"),
        ("unpin", "give up a pin, in every backend that has it, or that of an owner"),
    ):
        command = add(name, _lazily("pinning", name), text)
        command.add_argument("cid", type=cid, metavar="CID", help="the root of what is pinned")
        command.add_argument("--owner", type=owner, default="", metavar="NAME", help="who wants it: one model for each owner")
        _kubo_argument(command)
    command = add("pins", _lazily("pinning", "pins"), "list pins: CID, model, owner, backends")
    _kubo_argument(command)
    _gc_arguments(
        add("gc", _lazily("collecting", "gc"), "free space: what was not used for longest goes, what is pinned stays")
    )
    command = add(
        "status", _lazily("status", "status"), "show the local store, its models, pins and free space, and the backends"
    )
    _asked_arguments(command)
    _fetch_arguments(
        add("fetch", _lazily("fetch", "fetch"), "bring a model of the hub into the local store, verify it and print its CID")
    )
    _serve_arguments(add("serve", _serve, "give models of the local store to peers over HTTP: GET and HEAD, with a token"))
    return parser


def _lazily(module: str, name: str) -> Command:
    """Return what runs a command of a module that is imported then: HTTP clients and the hub's library are slow to import."""

    def run(options: argparse.Namespace) -> int:
        check_store()
        command: Command = getattr(import_module(f".{module}", __package__), name)
        return command(options)

    return run


def _add(options: argparse.Namespace) -> int:
    if options.only_hash:
        return local.only_hash(options)
    if options.store:
        return _lazily("storing", "store")(options)
    from .remote import add  # not at the top: its HTTP client takes longer to import than a small file to hash

    return add(options)


def _verify(options: argparse.Namespace) -> int:
    return _lazily("comparing", "verify_tree")(options) if options.against else local.verify_car(options)


def _export(options: argparse.Namespace) -> int:
    if options.output is None and sys.stdout.isatty():
        raise UsageError("export: not writing a CAR to a terminal; use -o FILE or a pipe")
    return local.export_car(options)


def _serve(options: argparse.Namespace) -> int:
    if options.hf_home is None:
        check_store()
    from .serve import serve  # not at the top: nothing else needs the store's and the server's imports

    return serve(options)


def _fetch_arguments(command: argparse.ArgumentParser) -> None:
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


def _gc_arguments(command: argparse.ArgumentParser) -> None:
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--high", type=byte_count, metavar="SIZE", help="collect where more than this is used, such as 20GiB")
    what.add_argument("--all", action="store_true", help="collect all that is not pinned")
    command.add_argument(
        "--low", type=byte_count, metavar="SIZE", help="collect until no more than this is used (default: --high)"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")
    command.add_argument("--foreign", action="store_true", help="take models of the cache that other programs brought, too")
    command.add_argument(
        "--idle-seconds",
        type=seconds(0, 31_536_000),
        default=60.0,
        metavar="S",
        help="leave what was used less long ago (default: 60)",
    )
    command.add_argument(
        "--everywhere", action="store_true", help="in Kubo too, which deletes all that nobody has pinned there"
    )
    _kubo_argument(command)


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


def _root_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", type=cid, metavar="CID", help="the CID that it must hold (default: the root that it names)")


def _read_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", type=content, metavar="CID[/PATH]", help="what to read, by its CID or a path below one")
    _asked_arguments(command)


def _asked_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--gateway", type=http_url, default="", metavar="URL", help="a trustless HTTP gateway to ask last")
    _kubo_argument(command)


def _kubo_argument(command: argparse.ArgumentParser) -> None:
    if command.get_default("gateway") is None:
        command.set_defaults(gateway="")  # a command that has no use for one that is only read from
    text = "Kubo's RPC API (default: KUBO_API); its bearer token is read from KUBO_API_TOKEN"
    command.add_argument("--kubo-api", type=http_url, default="", metavar="URL", help=text)
