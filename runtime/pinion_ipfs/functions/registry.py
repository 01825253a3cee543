"""Which backends a call asks: those of its argument, else of its `deps`, else this process's default, else the variables'."""

import inspect
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..backends.base import Backend, Capability, Receipt
from ..backends.gateway import Gateway
from ..backends.hf_cache import HfCache
from ..backends.ipfs_kit import IpfsKit
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from ..content.cid import Cid
from ..errors import BackendUnavailable
from ..program.arguments import UsageError
from ..routing.choice import DISABLE_KIT, ENABLE_CACHE, ENABLE_KIT, KNOWN, LIST, choose_backends
from ..routing.finding import API, KIT_CACHE, PROGRAM, TOKEN, find_backend
from ..routing.kubo import KuboEither
from .checked import Checked
from .synchronous import Synchronous

Factory = Callable[[], object]
Given = object  # a backend, the name of one or of several with commas between, or a sequence of both
MAX_NAME = 63  # characters of a registered name
_OURS = (HfCache, KuboRpc, KuboCli, KuboEither, IpfsKit, Gateway, Checked)
_VARIABLES = (LIST, ENABLE_KIT, DISABLE_KIT, ENABLE_CACHE, PROGRAM, API, TOKEN, KIT_CACHE, "IPFS_PATH", "PATH", "HOME")
_ARGUMENT = "backend"


@dataclass(frozen=True)
class RouterDeps:
    """What a program passes on to the functions; any object with these attributes will do.

    `ipfs_backend` is asked where a call names none; `on_receipt` gets each receipt, on the thread of the backends' loop;
    `replication` says how many backends are to pin where a call does not.
    """

    ipfs_backend: Given | None = None
    on_receipt: Callable[[Receipt], None] | None = None
    replication: int | str | tuple[int, int] | None = None


@dataclass(frozen=True)
class Wanted:
    """The backends of a call: `key` is the same for the same ones, `make` gives them, in order, and may block."""

    key: tuple[object, ...]
    make: Callable[[], list[Backend]]
    held: tuple[object, ...] = field(default=(), compare=False)  # keeps those in the key by their id alive


class Bound:
    """What stands for one backend and is taken in its place."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def name(self) -> str:
        """Return the backend's name."""
        return self._backend.name

    def unbound(self) -> Backend:
        """Return the backend itself."""
        return self._backend


class _Registered:
    """What was registered in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.factories: Mapping[str, Factory] = {}
        self.default: Given | None = None


_registered = _Registered()


def register_ipfs_backend(name: str, factory: Factory) -> None:
    """Let `backend=` and IPFS_BACKEND know a name; the factory gives a backend, or an object with the blocking methods of one.

    It is called when the name is first asked for. A name that was registered before gets the new factory.
    """
    if not isinstance(name, str) or not name.strip() or "," in name or len(name) > MAX_NAME:
        raise ValueError(f"a name of 1 to {MAX_NAME} characters without commas, not {name!r}")
    try:
        ours = choose_backends({LIST: name})
    except UsageError:
        ours = ()
    if ours:
        raise ValueError(f"{name!r} is a name of ours: {', '.join(KNOWN)}")
    if not callable(factory):
        raise TypeError(f"the factory of {name!r} can't be called")
    with _registered.lock:
        _registered.factories = {**_registered.factories, name.strip(): factory}


def set_default_ipfs_backend(backend: Given | None) -> None:
    """Ask this backend, name or sequence wherever a call names none; None takes it back."""
    if backend is not None:
        _wanted(backend)  # a mistake is told here
    with _registered.lock:
        _registered.default = backend


def wanted_backends(backend: Given | None, deps: object | None) -> Wanted:
    """Return what a call asks; raise UsageError for an unknown name or a wrong variable, TypeError for what is no backend."""
    for given in (backend, getattr(deps, "ipfs_backend", None), _registered.default):
        if given is not None:
            return _wanted(given)
    names = choose_backends(os.environ, _registered.factories)
    keys, factories = map(_key, names), tuple(map(_registered.factories.get, names))
    return Wanted(("variables", _variables(), *keys), lambda: _named(names, LIST), factories)


def as_backend(given: object) -> Backend:
    """Return a backend of ours as it is, anything else as one that is checked; raise TypeError for what is none."""
    inner = given.unbound() if isinstance(given, Bound) else given
    if isinstance(inner, _OURS):
        return cast(Backend, inner)
    if inspect.iscoroutinefunction(getattr(inner, "block_get", None)):
        return Checked(cast(Backend, inner))
    blocking = Synchronous(name_of(inner), inner)
    if Capability.READ not in blocking.capabilities and Capability.ADD not in blocking.capabilities:
        raise TypeError(f"{_ARGUMENT}: {type(inner).__name__} is no backend: it has none of add_bytes, cat and block_get")
    return Checked(blocking)


def name_of(given: object) -> str:
    """Return the name that receipts use for an object."""
    for attribute in ("name", "backend_name"):
        name = getattr(given, attribute, None)
        if isinstance(name, str) and name.strip():
            return name.strip()[:MAX_NAME]
    return type(given).__name__


def _wanted(given: Given) -> Wanted:
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not several:
        raise UsageError(f"{_ARGUMENT}: an empty sequence")
    parts: list[object] = []
    for each in several:
        if isinstance(each, str):
            if not each.strip():
                raise UsageError(f"{_ARGUMENT}: an empty name")
            parts += choose_backends({**os.environ, LIST: each}, _registered.factories, asked_by=_ARGUMENT)
        else:
            as_backend(each)  # a mistake is told here
            parts.append(each.unbound() if isinstance(each, Bound) else each)

    def make() -> list[Backend]:
        made: list[Backend] = []
        for part in parts:
            made += _named([part], _ARGUMENT) if isinstance(part, str) else [as_backend(part)]
        return made

    keys = [_key(part) if isinstance(part, str) else id(part) for part in parts]
    factories = [_registered.factories.get(part) for part in parts if isinstance(part, str)]
    return Wanted(("given", _variables(), *keys), make, (*parts, *factories))


def _key(name: str) -> object:
    return name, id(_registered.factories.get(name))


def _variables() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in _VARIABLES)


def _named(names: Sequence[str], asked_by: str) -> list[Backend]:
    made = []
    for name in names:
        factory = _registered.factories.get(name)
        backend = find_backend(name, asked_by=asked_by) if factory is None else _from_factory(name, factory)
        if backend is not None:
            made.append(backend)
    return made


def _from_factory(name: str, factory: Factory) -> Backend:
    try:
        return _Renamed(as_backend(factory()), name)
    except Exception as error:  # another backend may do
        return Checked(Synchronous(name, _NotMade(f"{name}: its factory raises {type(error).__name__}: {str(error)[:300]}")))


class _Renamed(Checked):
    """A registered backend, which is ours or checked already: receipts call it by its registered name."""

    def __init__(self, inner: Backend, name: str) -> None:
        super().__init__(inner)
        self.name = name

    def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file."""
        return self.inner.cat(cid)

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        return await self.inner.block_get(cid)


class _NotMade:
    """An object whose every method says why its factory did not give the real one."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> Any:
        def fail(*arguments: object, **named: object) -> None:
            raise BackendUnavailable(self._why)

        return fail
