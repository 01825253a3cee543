"""From flags and environment to settings; a wrong use ends the process with one sentence."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from pinion_contract.config import GatewayBackend, KuboBackend, Limits
from pinion_contract.names import STATE_PATH
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.errors import InvalidCid
from pinion_ipfs.hub.xet_choice import choose_xet
from pinion_ipfs.manager.arguments import caches
from pinion_ipfs.net.trust import InvalidAuthorities, read_authorities
from pinion_ipfs.program.arguments import UsageError, read_token, token_problem, url_problem
from pinion_ipfs.routing.kit import problem_of_kit

from .flags import make_parser
from .model_argument import TreeName, name_of, read_model
from .settings import ConfigFiles, Dtype, ModelFlags, Settings, Task

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # to the hub's library they are the same


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings; on a wrong use print why and raise SystemExit(2)."""
    parser = make_parser()
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
        model_cache=_is_cache(parser, environment),
    )


def _is_cache(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> bool:
    try:
        return caches(environment)
    except UsageError as error:
        parser.error(str(error))


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
    tree = isinstance(model, TreeName)
    if tree and (flag := next((flag for flag in ("revision", "endpoint") if getattr(given, flag)), "")):
        parser.error(f"--{flag} is for repositories of the hub, and {given.model!r} is named by its CID")
    if given.gateway and not tree:
        parser.error("--gateway is for MODEL ipfs://CID: of a repository nobody knows the CID beforehand")
    if given.offline and (given.kubo_rpc or given.peer or given.gateway):
        flag = "--peer" if given.peer else "--kubo-rpc" if given.kubo_rpc else "--gateway"
        parser.error(f"--offline asks nobody: leave {flag} out")
    if bool(given.kubo_rpc) != bool(given.kubo_gateway):
        parser.error("--kubo-rpc and --kubo-gateway go together")
    if given.kubo_token_file and not given.kubo_token_file.is_file():
        parser.error(f"--kubo-token-file: there is no file {given.kubo_token_file}")
    backends: tuple[KuboBackend | GatewayBackend, ...] = ()
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
    if given.gateway:
        gateway = GatewayBackend(name="gateway", gateway_urls=tuple(given.gateway), allow_local_addresses=True)
        backends = (*backends, gateway)
    return ModelFlags(
        model=model,
        revision=given.revision or "main",
        endpoint=given.endpoint,
        served_name=given.served_name or name_of(model),
        expected_cid=expected_cid,
        task=cast(Task, given.task),
        context_length=given.context_length,
        max_sequences=given.max_sequences,
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


def from_process() -> Settings:
    """Return the settings of this process; one that is to ask nobody says so to libraries and to processes of its own."""
    settings = parse_settings(sys.argv[1:], os.environ)
    if settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    choose_xet(settings.xet, os.environ)
    return settings
