"""The IPFS backend router: content addresses, the store, backends, and the fetch of a model.

Names are brought when they are asked for: `import pinion_ipfs` alone loads none of them, and no HTTP client.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backends.base import Backend, Capability, CarSource, DagStat, Health, Receipt
    from .backends.gateway import Gateway
    from .backends.hf_cache import HfCache
    from .backends.ipfs_kit import IpfsKit
    from .backends.kubo_cli import KuboCli
    from .backends.kubo_rpc import KuboRpc
    from .content.cid import Cid
    from .errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing, InvalidCid, PinFailed
    from .routing.router import Router
    from .store import Store

__all__ = [
    "Backend",
    "BackendUnavailable",
    "BlockMismatch",
    "Capability",
    "CarSource",
    "Cid",
    "ContentError",
    "ContentMissing",
    "DagStat",
    "Gateway",
    "Health",
    "HfCache",
    "InvalidCid",
    "IpfsKit",
    "KuboCli",
    "KuboRpc",
    "PinFailed",
    "Receipt",
    "Router",
    "Store",
]

_MODULES = {
    "backends.base": ("Backend", "Capability", "CarSource", "DagStat", "Health", "Receipt"),
    "backends.gateway": ("Gateway",),
    "backends.hf_cache": ("HfCache",),
    "backends.ipfs_kit": ("IpfsKit",),
    "backends.kubo_cli": ("KuboCli",),
    "backends.kubo_rpc": ("KuboRpc",),
    "content.cid": ("Cid",),
    "errors": ("BackendUnavailable", "BlockMismatch", "ContentError", "ContentMissing", "InvalidCid", "PinFailed"),
    "routing.router": ("Router",),
    "store": ("Store",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Bring a name of `__all__` from its module."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value  # the next look finds it without us
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
