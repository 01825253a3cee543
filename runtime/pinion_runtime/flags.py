"""The flags of `pinion-serve`."""

import argparse
from pathlib import Path

from pinion_contract.config import Limits
from pinion_contract.names import CONTENT_PORT, INFERENCE_PORT, MANAGEMENT_PORT
from pinion_contract.origins import problem_of_origin
from pinion_ipfs.hub.xet_choice import CHOICES as XET_CHOICES
from pinion_ipfs.hub.xet_choice import HELP as XET_HELP
from pinion_ipfs.program.arguments import Parser, host, http_url, pattern, port, seconds, whole_number
from pinion_ipfs.program.completion import ShowCompletion
from pinion_ipfs.program.distribution import ShowVersion

PROGRAM = "pinion-serve"
_MOST = 2**31 - 1
_positive, _natural, _seconds = whole_number(1, _MOST), whole_number(0, _MOST), seconds(0, 3600)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [OPTION...] MODEL\n       %(prog)s --help",
        description="Fetch a model, verify it, load it and serve it over HTTP.",
        epilog="Gated repositories: set HF_TOKEN. Behind a proxy: HTTPS_PROXY, NO_PROXY; with authorities of your own:"
        " PINION_CA_FILE, a file with PEM certificates. A pod runs: pinion-serve --config FILE --live FILE",
    )
    parser.add_argument("--version", action=ShowVersion, program=PROGRAM)
    parser.add_argument("--completion", action=ShowCompletion, program=PROGRAM)
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a repository of the hub, ORG/NAME, a folder, ./my-model, or a directory of IPFS, ipfs://CID[/PATH]",
    )
    what = parser.add_argument_group("the model (with MODEL)")
    what.add_argument("--revision", help="branch, tag or commit (default: main)")
    what.add_argument("--endpoint", type=http_url, default="", metavar="URL", help="another hub than the default one")
    what.add_argument("--xet", default="", choices=XET_CHOICES, metavar="WHEN", help=XET_HELP)
    what.add_argument(
        "--served-name", default="", metavar="NAME", help="the name that requests use (default: ORG/NAME, or the folder's)"
    )
    what.add_argument(
        "--offline", action="store_true", help="ask nobody: serve what is in the cache (also with HF_HUB_OFFLINE=1)"
    )
    what.add_argument(
        "--allow",
        action="append",
        type=pattern,
        default=[],
        metavar="PATTERN",
        help="take only files that match, such as '*.json'; repeatable (default: what can be loaded)",
    )
    what.add_argument(
        "--ignore", action="append", type=pattern, default=[], metavar="PATTERN", help="leave out files that match; repeatable"
    )
    what.add_argument("--expected-cid", default="", metavar="CID", help="serve exactly these bytes or nothing")
    what.add_argument(
        "--task",
        default="auto",
        choices=["auto", "feature-extraction", "text-generation"],
        help="default: what the model's files say that it is meant for",
    )
    what.add_argument(
        "--context-length",
        type=_natural,
        default=0,
        metavar="N",
        help="tokens of prompt and answer (default: the model's, or what memory gives)",
    )
    what.add_argument(
        "--max-sequences",
        type=_natural,
        default=0,
        metavar="N",
        help="answers that are generated at a time (default: as many as memory gives)",
    )
    what.add_argument(
        "--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"], help="default: the checkpoint's"
    )
    what.add_argument("--kubo-rpc", type=http_url, default="", metavar="URL", help="pin in this Kubo, through its RPC API")
    what.add_argument(
        "--kubo-gateway", type=http_url, default="", metavar="URL", help="read from the same Kubo, through its gateway"
    )
    what.add_argument("--kubo-token-file", type=Path, metavar="FILE", help="bearer token of the RPC API")
    what.add_argument(
        "--gateway",
        action="append",
        type=http_url,
        default=[],
        metavar="URL",
        help="a trustless gateway to read ipfs://CID from; repeatable, asked in this order",
    )
    access = parser.add_argument_group("access (with MODEL)")
    access.add_argument(
        "--api-keys-dir",
        type=Path,
        metavar="DIR",
        help="ask for API keys: one file per client, read again when they change",
    )
    access.add_argument(
        "--cors-origins",
        type=_origins,
        action="append",
        default=[],
        metavar="ORIGINS",
        help="web pages that may read answers, as https://HOST[:PORT], separated by commas; * = all (default: none)",
    )
    defaults = Limits()
    limits = parser.add_argument_group("limits (with MODEL)")
    limits.add_argument("--max-concurrent-requests", type=_positive, default=defaults.max_concurrent_requests, metavar="N")
    limits.add_argument("--max-queued-requests", type=_natural, default=defaults.max_queued_requests, metavar="N")
    limits.add_argument("--max-body-bytes", type=_positive, default=defaults.max_body_bytes, metavar="N")
    limits.add_argument("--max-tokens-per-request", type=_positive, default=defaults.max_tokens_per_request, metavar="N")
    limits.add_argument("--request-timeout-seconds", type=_positive, default=defaults.request_timeout_seconds, metavar="N")
    limits.add_argument(
        "--grace-seconds", type=_positive, default=30, metavar="N", help="time to finish after SIGTERM (default: 30)"
    )
    files = parser.add_argument_group("configuration files (instead of MODEL)")
    files.add_argument("--config", type=Path, metavar="FILE", help="config.json of a revision")
    files.add_argument("--live", type=Path, metavar="FILE", help="live.json, read again while running")
    files.add_argument("--live-seconds", type=_seconds, default=1.0, metavar="S", help="how often (default: 1)")
    process = parser.add_argument_group("the process")
    process.add_argument(
        "--host", type=host, default="", metavar="ADDRESS", help="default: 127.0.0.1; with --config all addresses"
    )
    process.add_argument(
        "--port", type=port, default=INFERENCE_PORT, metavar="N", help=f"inference (default: {INFERENCE_PORT})"
    )
    process.add_argument("--management-host", type=host, default="", metavar="ADDRESS", help="default: as --host")
    process.add_argument(
        "--management-port",
        type=port,
        default=MANAGEMENT_PORT,
        metavar="N",
        help=f"health, status, metrics (default: {MANAGEMENT_PORT})",
    )
    process.add_argument(
        "--content-port",
        type=port,
        default=CONTENT_PORT,
        metavar="N",
        help=f"verified content for peers, where there is a token (default: {CONTENT_PORT})",
    )
    process.add_argument(
        "--peer",
        action="append",
        type=http_url,
        default=[],
        metavar="URL",
        help="a peer's content port to ask before the hub; repeatable",
    )
    process.add_argument("--peer-token-file", type=Path, metavar="FILE", help="the bearer token that peers share")
    process.add_argument("--cache-dir", type=Path, metavar="DIR", help="default: $HF_HOME, else the Hugging Face cache")
    process.add_argument(
        "--drain-seconds", type=_seconds, metavar="S", help="accept this long after SIGTERM (default: 0; with --config 5)"
    )
    return parser


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin for part in text.split(",") if (origin := part.strip()))
    if problem := next(filter(None, map(problem_of_origin, origins)), "" if origins else "no origin is given"):
        raise argparse.ArgumentTypeError(problem)
    return origins
