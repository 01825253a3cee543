"""What one process is told: by two mounted files in a pod, by flags on a laptop. The same code runs on both."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pinion_contract.config import FolderSource, HuggingFaceSource, KuboBackend, Limits, LiveConfig, RuntimeConfig, Warmup
from pinion_contract.names import CONTENT_PORT, INFERENCE_PORT, MANAGEMENT_PORT, STATE_PATH
from pinion_contract.origins import problem_of_origin
from pinion_ipfs.arguments import (
    Parser,
    host,
    http_url,
    pattern,
    port,
    read_token,
    seconds,
    token_problem,
    url_problem,
    whole_number,
)
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.errors import InvalidCid
from pinion_ipfs.distribution import ShowVersion
from pinion_ipfs.identity import Commit, RepoId
from pinion_ipfs.kit import problem_of_kit
from pinion_ipfs.selection import CURRENT
from pinion_ipfs.trust import InvalidAuthorities, read_authorities
from pinion_ipfs.xet_choice import CHOICES as XET_CHOICES
from pinion_ipfs.xet_choice import HELP as XET_HELP
from pinion_ipfs.xet_choice import choose_xet

from .model_argument import name_of, read_model

PROGRAM = "pinion-serve"
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # to the hub's library they are the same
_MOST = 2**31 - 1
_positive, _natural, _seconds = whole_number(1, _MOST), whole_number(0, _MOST), seconds(0, 3600)
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class ConfigFiles:
    """The two files of a pod."""

    config: Path
    live: Path


@dataclass(frozen=True)
class ModelFlags:
    """What `pinion-serve MODEL` was given; it becomes a RuntimeConfig once the commit of a repository is known."""

    model: RepoId | Path  # a folder, absolute
    revision: str
    endpoint: str
    served_name: str
    expected_cid: str
    dtype: Dtype
    backends: tuple[KuboBackend, ...]
    limits: Limits
    grace_seconds: int
    api_keys_dir: str = ""  # "" = no key is asked for
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()

    def config(self, commit: Commit | None) -> RuntimeConfig:
        """Return the configuration that a pod would have been given; a folder has no commit."""
        patterns = {"allow_patterns": self.allow_patterns, "ignore_patterns": self.ignore_patterns}
        source: HuggingFaceSource | FolderSource
        if isinstance(self.model, Path):
            source = FolderSource(folder=str(self.model), **patterns)
        else:
            source = HuggingFaceSource(
                repo=str(self.model),
                revision=self.revision,
                commit=str(commit),
                endpoint=self.endpoint,
                allow_local_addresses=True,  # who types a command chooses for himself
                selection_rule=CURRENT,
                **patterns,
            )
        return RuntimeConfig(
            namespace="local",
            deployment=self.served_name,
            revision="local",
            source=source,
            backends=self.backends,
            api_keys_dir=self.api_keys_dir,
            dtype=self.dtype,
            warmup=Warmup(),
            termination_grace_period_seconds=self.grace_seconds,
        )

    def live(self) -> LiveConfig:
        """Return what a pod would read again and again; here nothing changes it later."""
        return LiveConfig(
            expected_cid=self.expected_cid,
            served_names=(self.served_name,),
            limits=self.limits,
            cors_origins=self.cors_origins or None,
        )


@dataclass(frozen=True)
class Settings:
    """How this process runs, whatever it serves."""

    source: ConfigFiles | ModelFlags
    host: str
    port: int
    management_host: str
    management_port: int
    content_port: int
    peers: tuple[str, ...]  # URLs of content ports; a pod's configuration names its peers itself
    peer_token_file: Path | None
    cache_dir: Path  # a genuine Hugging Face home: hub/ and pinion/ lie below it
    drain_seconds: float  # after SIGTERM connections are accepted this much longer, because endpoints lag
    live_seconds: float  # how often live.json is read again
    hub_token: str  # "" = none
    progress: bool  # draw progress on a terminal
    hub_cache: Path | None = None  # where models lie, when that is not the folder hub/ of cache_dir
    offline: bool = False  # nobody is asked for anything: what is at hand is served, or what is missing is named
    xet: str = ""  # auto, never; "" = as the environment has it

    @property
    def key_seconds(self) -> float:
        """Return how often the folder of API keys is looked at."""
        return min(max(self.live_seconds, 0.1), 1.0)

    @property
    def pin_seconds(self) -> float:
        """Return how often backends are asked whether they have the pins still, at least; once or twice as long passes."""
        return 60 * self.live_seconds

    @property
    def on_a_laptop(self) -> bool:
        """Tell whether a person started this: then a final failure ends the process, where a pod stays up to tell it."""
        return isinstance(self.source, ModelFlags)


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings; on a wrong use print why and raise SystemExit(2)."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if (given.model is None) == (given.config is None):
        parser.error("give either MODEL or --config FILE --live FILE")
    if given.peer and given.peer_token_file is None:
        parser.error("--peer needs --peer-token-file")
    if (given.config is None) != (given.live is None):
        parser.error("--config and --live go together")
    source = _model_flags(parser, given) if given.model is not None else ConfigFiles(given.config, given.live)
    laptop = isinstance(source, ModelFlags)
    if laptop and (problem := _problem_of_authorities(environment)):
        parser.error(problem)
    if laptop and (problem := _problem_of_variables(environment) or problem_of_kit(environment)):
        parser.error(problem)
    for flag, file in (("--peer-token-file", given.peer_token_file), ("--kubo-token-file", given.kubo_token_file)):
        if laptop and file and (problem := _problem_of_token(file)):
            parser.error(f"{flag}: {problem}")
    folder = isinstance(source, ModelFlags) and isinstance(source.model, Path)
    if laptop and not folder and not given.endpoint and (problem := _problem_of_endpoint(environment)):
        parser.error(problem)
    cache_dir = given.cache_dir or _default_cache(environment, laptop)
    if cache_dir is None and not folder:
        parser.error("there is no home folder to keep models in: set HF_HOME, or give --cache-dir")
    listen = given.host or ("127.0.0.1" if laptop else "0.0.0.0")
    return Settings(
        source=source,
        host=listen,
        port=given.port,
        management_host=given.management_host or listen,
        management_port=given.management_port,
        content_port=given.content_port,
        peers=tuple(given.peer),
        peer_token_file=given.peer_token_file,
        cache_dir=cache_dir or Path(STATE_PATH) / "hf",
        drain_seconds=given.drain_seconds if given.drain_seconds is not None else (0.0 if laptop else 5.0),
        live_seconds=given.live_seconds,
        hub_token="" if _is_said(environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN") else environment.get("HF_TOKEN", "").strip(),
        progress=laptop and sys.stderr.isatty() and not _is_said(environment, "HF_HUB_DISABLE_PROGRESS_BARS"),
        hub_cache=Path(hub_cache) if (hub_cache := environment.get("HF_HUB_CACHE")) and not given.cache_dir else None,
        offline=folder or given.offline or any(_is_said(environment, name) for name in _OFFLINE),
        xet=given.xet,
    )


def _is_said(environment: Mapping[str, str], name: str) -> bool:
    """Tell whether a variable is true, as the hub's library reads it."""
    return environment.get(name, "").upper() in ("1", "ON", "YES", "TRUE")


def _problem_of_authorities(environment: Mapping[str, str]) -> str:
    """Return what is wrong with the file that the environment names, '' when nothing is. A pod's may still come."""
    if not (path := environment.get("PINION_CA_FILE")):
        return ""
    try:
        read_authorities(Path(path))
    except InvalidAuthorities as error:
        return f"PINION_CA_FILE: {error}"
    return ""


def _problem_of_variables(environment: Mapping[str, str]) -> str:
    """Return what is wrong with what a laptop's environment says. An empty HF_TOKEN is none, as for the hub's library."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "PINION_CA_FILE"):
        if not environment.get(name, "unset").strip():
            return f"{name} is set, and empty: give it a value, or unset it"
    token = environment.get("HF_TOKEN", "").strip()
    return f"the token in HF_TOKEN: {problem}" if token and (problem := token_problem(token)) else ""


def _problem_of_token(file: Path) -> str:
    try:
        read_token(file)
    except OSError as error:
        return f"{file}: {error.strerror}"
    except ValueError as error:
        return str(error)
    return ""


def _problem_of_endpoint(environment: Mapping[str, str]) -> str:
    named = environment.get("HF_ENDPOINT", "")
    return f"HF_ENDPOINT: {problem}" if named and (problem := url_problem(named)) else ""


def _default_cache(environment: Mapping[str, str], laptop: bool) -> Path | None:
    """Return where the hub's own programs keep models; None for a user that nobody knows, who has no home."""
    if home := environment.get("HF_HOME"):
        return Path(home)
    if not laptop:
        return Path(STATE_PATH) / "hf"
    try:
        return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    except RuntimeError:
        return None


def _model_flags(parser: argparse.ArgumentParser, given: argparse.Namespace) -> ModelFlags:
    try:
        model = read_model(given.model)
        expected_cid = str(Cid.parse(given.expected_cid)) if given.expected_cid else ""
    except InvalidCid as error:
        parser.error(f"argument --expected-cid: {error}")
    except ValueError as error:
        parser.error(str(error))
    if isinstance(model, Path):
        for flag in ("revision", "endpoint", "peer", "peer_token_file"):
            if getattr(given, flag):
                parser.error(f"--{flag.replace('_', '-')} is for repositories of the hub, and {given.model!r} is a folder here")
    if given.offline and (given.kubo_rpc or given.peer):
        parser.error(f"--offline asks nobody: leave {'--peer' if given.peer else '--kubo-rpc'} out")
    if bool(given.kubo_rpc) != bool(given.kubo_gateway):
        parser.error("--kubo-rpc and --kubo-gateway go together")
    if given.kubo_token_file and not given.kubo_token_file.is_file():
        parser.error(f"--kubo-token-file: there is no file {given.kubo_token_file}")
    backends: tuple[KuboBackend, ...] = ()
    if given.kubo_rpc:
        token_file = str(given.kubo_token_file or "")
        backends = (
            KuboBackend(
                name="kubo",
                rpc_url=given.kubo_rpc,
                gateway_url=given.kubo_gateway,
                token_file=token_file,
                allow_local_addresses=True,
            ),
        )
    return ModelFlags(
        model=model,
        revision=given.revision or "main",
        endpoint=given.endpoint,
        served_name=given.served_name or name_of(model),
        expected_cid=expected_cid,
        dtype=cast(Dtype, given.dtype),
        backends=backends,
        limits=Limits(
            max_concurrent_requests=given.max_concurrent_requests,
            max_queued_requests=given.max_queued_requests,
            max_body_bytes=given.max_body_bytes,
            max_tokens_per_request=given.max_tokens_per_request,
            request_timeout_seconds=given.request_timeout_seconds,
        ),
        grace_seconds=given.grace_seconds,
        api_keys_dir=str(given.api_keys_dir or ""),
        allow_patterns=tuple(given.allow),
        ignore_patterns=tuple(given.ignore),
        cors_origins=tuple(origin for origins in given.cors_origins for origin in origins),
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [OPTION...] MODEL\n       %(prog)s --help",
        description="Fetch a model, verify it, load it and serve it over HTTP.",
        epilog="Gated repositories: set HF_TOKEN. Behind a proxy: HTTPS_PROXY, NO_PROXY; with authorities of your own:"
        " PINION_CA_FILE, a file with PEM certificates. A pod runs: pinion-serve --config FILE --live FILE",
    )
    parser.add_argument("--version", action=ShowVersion, program=PROGRAM)
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a repository of the hub, ORG/NAME, or a folder, ./my-model")
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
        "--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"], help="default: the checkpoint's"
    )
    what.add_argument("--kubo-rpc", type=http_url, default="", metavar="URL", help="pin in this Kubo, through its RPC API")
    what.add_argument(
        "--kubo-gateway", type=http_url, default="", metavar="URL", help="read from the same Kubo, through its gateway"
    )
    what.add_argument("--kubo-token-file", type=Path, metavar="FILE", help="bearer token of the RPC API")
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


def from_process() -> Settings:
    """Return the settings of this process; one that is to ask nobody says so to libraries and to processes of its own."""
    settings = parse_settings(sys.argv[1:], os.environ)
    if settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    choose_xet(settings.xet, os.environ)
    return settings
