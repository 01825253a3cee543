"""The configuration's backends as the content library has them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pinion_contract.config import Backend as BackendConfig
from pinion_contract.config import CacheBackend, GatewayBackend, KuboBackend
from pinion_ipfs.backends.base import Backend
from pinion_ipfs.backends.breaker import BreakerSettings
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.errors import BlockMismatch
from pinion_ipfs.net.addresses import NOT_LOCAL

from .tokens import backend_token


def make_backends(configs: Sequence[BackendConfig], on_wrong: Callable[[BlockMismatch], None], namespace: str) -> list[Backend]:
    """Return them in order; `on_wrong` is told of wrong blocks that a backend made up for by itself."""
    return [backend for config in configs for backend in _make(config, on_wrong, namespace)]


def make_breakers(configs: Sequence[BackendConfig]) -> dict[str, BreakerSettings]:
    """Return by name when each is left alone."""
    return {
        config.name: BreakerSettings(
            error_threshold_percent=config.circuit_breaker.error_threshold_percent,
            min_requests=config.circuit_breaker.min_requests,
            open_seconds=config.circuit_breaker.open_seconds,
        )
        for config in configs
    }


def _make(config: BackendConfig, on_wrong: Callable[[BlockMismatch], None], namespace: str) -> list[Backend]:
    match config:
        case KuboBackend():
            token = partial(backend_token, config.token_file, config.token_rule, namespace)
            policy = None if config.allow_local_addresses else NOT_LOCAL
            stall = float(config.stall_timeout_seconds)
            return [
                KuboRpc(config.name, config.rpc_url, token=token, policy=policy, token_source=_source_of(config)),
                Gateway(config.name, config.gateway_url, stall_seconds=stall, policy=policy),
            ]
        case GatewayBackend():
            return [
                Gateway(
                    config.name,
                    config.gateway_urls,
                    token=partial(backend_token, config.token_file, config.token_rule, namespace),
                    stall_seconds=float(config.stall_timeout_seconds),
                    policy=None if config.allow_local_addresses else NOT_LOCAL,
                    token_source=_source_of(config),
                    on_wrong=on_wrong,
                )
            ]
        case CacheBackend():
            return [HfCache(config.name, Path(config.path))]


def _source_of(config: KuboBackend | GatewayBackend) -> str:
    """Return where a backend's token comes from, for messages."""
    return f"Secret {config.token_rule.secret!r}" if config.token_rule else config.token_file
