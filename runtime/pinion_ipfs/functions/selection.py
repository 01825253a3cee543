"""Which backend a round trip finds usable, first in order: who was chosen, who was passed over and why, and what it can do."""

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from ..backends.base import Backend, Health
from ..backends.gateway import Gateway
from ..backends.hf_cache import HfCache
from ..backends.ipfs_kit import IpfsKit
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from ..errors import BackendUnavailable
from ..routing.kubo import KuboEither
from ..routing.router import Router
from .call import bring, wait
from .checked import Checked
from .registry import Given
from .selected import SelectedBackend


class BackendRole(StrEnum):
    """What a backend is good for, as far as a round trip has shown that it works."""

    IPFS_KIT = "ipfs_kit_py"
    KUBO = "kubo"
    CACHE = "cache"
    GATEWAY = "gateway"
    UNKNOWN = "unknown"  # one that is not ours
    UNAVAILABLE = "unavailable"  # one whose round trip failed


_ROLES: tuple[tuple[type, BackendRole], ...] = (
    (IpfsKit, BackendRole.IPFS_KIT),
    (KuboRpc, BackendRole.KUBO),
    (KuboCli, BackendRole.KUBO),
    (KuboEither, BackendRole.KUBO),
    (HfCache, BackendRole.CACHE),
    (Gateway, BackendRole.GATEWAY),
)


@dataclass(frozen=True, slots=True)
class BackendCapabilities:
    """What a backend says that it can do, and what a round trip saw of it."""

    name: str
    role: BackendRole
    usable: bool
    can: tuple[str, ...]
    checks: tuple[str, ...]
    reason: str  # why it is not usable
    version: str

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BackendSelection:
    """The receipt of a selection: it is degraded when another than the first in order was chosen."""

    selected_name: str
    selected_role: BackendRole
    preferred_name: str
    preferred_available: bool
    degraded: bool
    degradation_reasons: tuple[str, ...]
    capabilities: BackendCapabilities
    candidate_order: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return asdict(self)


class _Last:
    """The last selection of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.selection: BackendSelection | None = None


_last = _Last()


def get_backend(*, backend: Given | None = None, deps: object | None = None) -> SelectedBackend:
    """Return the first backend whose round trip succeeds; it has the functions as methods."""
    return select_backend(backend=backend, deps=deps)[0]


def select_backend(*, backend: Given | None = None, deps: object | None = None) -> tuple[SelectedBackend, BackendSelection]:
    """Return the first backend whose round trip succeeds, with a receipt; raise BackendUnavailable when none does."""
    return _noted(wait(backend, deps, _select))


def get_backend_with_receipt(
    *, backend: Given | None = None, deps: object | None = None
) -> tuple[SelectedBackend, BackendSelection]:
    """Do as select_backend: the receipt belongs to the backend that comes with it."""
    return select_backend(backend=backend, deps=deps)


def get_last_backend_selection() -> BackendSelection | None:
    """Return the receipt of this process's last selection, None before the first."""
    return _last.selection


def describe_backend_capabilities(backend: Given | None = None, *, deps: object | None = None) -> BackendCapabilities:
    """Try a backend with a round trip and tell what it can do; of several the first."""
    return wait(backend, deps, _describe)


def classify_backend_role(backend: Given | None = None, *, deps: object | None = None) -> BackendRole:
    """Try a backend with a round trip and tell its role, UNAVAILABLE when that fails; of several the first."""
    return describe_backend_capabilities(backend, deps=deps).role


async def get_backend_async(*, backend: Given | None = None, deps: object | None = None) -> SelectedBackend:
    """Return the first backend whose round trip succeeds."""
    return (await select_backend_async(backend=backend, deps=deps))[0]


async def select_backend_async(
    *, backend: Given | None = None, deps: object | None = None
) -> tuple[SelectedBackend, BackendSelection]:
    """Return the first backend whose round trip succeeds, with a receipt."""
    return _noted(await bring(backend, deps, _select))


async def describe_backend_capabilities_async(
    backend: Given | None = None, *, deps: object | None = None
) -> BackendCapabilities:
    """Try a backend with a round trip and tell what it can do."""
    return await bring(backend, deps, _describe)


def _noted(chosen: tuple[SelectedBackend, BackendSelection]) -> tuple[SelectedBackend, BackendSelection]:
    with _last.lock:
        _last.selection = chosen[1]
    return chosen


async def _select(router: Router) -> tuple[SelectedBackend, BackendSelection]:
    reasons: list[str] = []
    for backend in router.backends:
        health = await backend.probe()
        if health.usable:
            return SelectedBackend(backend), _selection(router.backends, backend, health, reasons)
        reasons.append(health.reason if health.reason.startswith(backend.name) else f"{backend.name}: {health.reason}")
    raise BackendUnavailable("; ".join(reasons) or "no backend is configured")


def _selection(candidates: Sequence[Backend], chosen: Backend, health: Health, reasons: list[str]) -> BackendSelection:
    known = _capabilities(chosen, health)
    return BackendSelection(
        selected_name=chosen.name,
        selected_role=known.role,
        preferred_name=candidates[0].name,
        preferred_available=chosen is candidates[0],
        degraded=chosen is not candidates[0],
        degradation_reasons=tuple(reasons),
        capabilities=known,
        candidate_order=tuple(each.name for each in candidates),
    )


async def _describe(router: Router) -> BackendCapabilities:
    if not router.backends:
        raise BackendUnavailable("no backend is configured")
    backend = router.backends[0]
    return _capabilities(backend, await backend.probe())


def _capabilities(backend: Backend, health: Health) -> BackendCapabilities:
    can = tuple(sorted(map(str, backend.capabilities))) if health.usable else ()
    role = _role(backend) if health.usable else BackendRole.UNAVAILABLE
    return BackendCapabilities(backend.name, role, health.usable, can, health.checks, health.reason, health.version)


def _role(backend: Backend) -> BackendRole:
    inner: object = backend
    while isinstance(inner, Checked):
        inner = inner.inner
    return next((role for kind, role in _ROLES if isinstance(inner, kind)), BackendRole.UNKNOWN)
