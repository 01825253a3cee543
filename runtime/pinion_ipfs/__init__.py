"""The IPFS backend router: content addresses, the store, backends, the functions, and the fetch of a model.

Names are brought when they are asked for: `import pinion_ipfs` alone loads none of them, and no HTTP client.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backends.base import Backend, Capability, CarSource, DagStat, Health, Receipt, Replica
    from .backends.collecting import Collected
    from .backends.gateway import Gateway
    from .backends.hf_cache import HfCache
    from .backends.ipfs_kit import IpfsKit
    from .backends.kubo_cli import KuboCli
    from .backends.kubo_rpc import KuboRpc
    from .content.cid import Cid
    from .errors import (
        BackendUnavailable,
        BlockMismatch,
        ContentError,
        ContentMissing,
        InvalidCid,
        PinFailed,
        ReplicationFailed,
        UnreadableSource,
    )
    from .functions.arguments import MAX_BYTES, ContentTooLarge
    from .functions.blocking import (
        add_bytes,
        add_path,
        block_get,
        block_put,
        cat,
        cat_stream,
        dag_export,
        dag_export_stream,
        dag_import,
        dag_import_file,
        gc,
        get_to_path,
        has,
        ls,
        pin,
        pin_ls,
        stat,
        unpin,
    )
    from .functions.operations import Stat
    from .functions.receipts import get_last_receipts
    from .functions.registry import RouterDeps, register_ipfs_backend, set_default_ipfs_backend
    from .functions.selected import SelectedBackend
    from .functions.selection import (
        BackendCapabilities,
        BackendRole,
        BackendSelection,
        classify_backend_role,
        describe_backend_capabilities,
        get_backend,
        get_backend_with_receipt,
        get_last_backend_selection,
        select_backend,
    )
    from .manager.arguments import ModelStorageDisabled
    from .manager.blocking import ModelManager
    from .manager.models import RemovedModel, RetrievedModel, StoredModel
    from .program.arguments import UsageError
    from .routing.router import Router
    from .store import Store

__all__ = [
    "MAX_BYTES",
    "Backend",
    "BackendCapabilities",
    "BackendRole",
    "BackendSelection",
    "BackendUnavailable",
    "BlockMismatch",
    "Capability",
    "CarSource",
    "Cid",
    "Collected",
    "ContentError",
    "ContentMissing",
    "ContentTooLarge",
    "DagStat",
    "Gateway",
    "Health",
    "HfCache",
    "InvalidCid",
    "IpfsKit",
    "KuboCli",
    "KuboRpc",
    "ModelManager",
    "ModelStorageDisabled",
    "PinFailed",
    "Receipt",
    "RemovedModel",
    "Replica",
    "ReplicationFailed",
    "RetrievedModel",
    "Router",
    "RouterDeps",
    "SelectedBackend",
    "Stat",
    "Store",
    "StoredModel",
    "UnreadableSource",
    "UsageError",
    "add_bytes",
    "add_path",
    "block_get",
    "block_put",
    "cat",
    "cat_stream",
    "classify_backend_role",
    "dag_export",
    "dag_export_stream",
    "dag_import",
    "dag_import_file",
    "describe_backend_capabilities",
    "gc",
    "get_backend",
    "get_backend_with_receipt",
    "get_last_backend_selection",
    "get_last_receipts",
    "get_to_path",
    "has",
    "ls",
    "pin",
    "pin_ls",
    "register_ipfs_backend",
    "select_backend",
    "set_default_ipfs_backend",
    "stat",
    "unpin",
]

_MODULES = {
    "backends.base": ("Backend", "Capability", "CarSource", "DagStat", "Health", "Receipt", "Replica"),
    "backends.collecting": ("Collected",),
    "backends.gateway": ("Gateway",),
    "backends.hf_cache": ("HfCache",),
    "backends.ipfs_kit": ("IpfsKit",),
    "backends.kubo_cli": ("KuboCli",),
    "backends.kubo_rpc": ("KuboRpc",),
    "content.cid": ("Cid",),
    "errors": (
        "BackendUnavailable",
        "BlockMismatch",
        "ContentError",
        "ContentMissing",
        "InvalidCid",
        "PinFailed",
        "ReplicationFailed",
        "UnreadableSource",
    ),
    "functions.arguments": (
        "MAX_BYTES",
        "ContentTooLarge",
    ),
    "functions.blocking": (
        "add_bytes",
        "add_path",
        "block_get",
        "block_put",
        "cat",
        "cat_stream",
        "dag_export",
        "dag_export_stream",
        "dag_import",
        "dag_import_file",
        "gc",
        "get_to_path",
        "has",
        "ls",
        "pin",
        "pin_ls",
        "stat",
        "unpin",
    ),
    "functions.operations": ("Stat",),
    "functions.receipts": ("get_last_receipts",),
    "functions.registry": (
        "RouterDeps",
        "register_ipfs_backend",
        "set_default_ipfs_backend",
    ),
    "functions.selected": ("SelectedBackend",),
    "functions.selection": (
        "BackendCapabilities",
        "BackendRole",
        "BackendSelection",
        "classify_backend_role",
        "describe_backend_capabilities",
        "get_backend",
        "get_backend_with_receipt",
        "get_last_backend_selection",
        "select_backend",
    ),
    "manager.arguments": ("ModelStorageDisabled",),
    "manager.blocking": ("ModelManager",),
    "manager.models": ("RemovedModel", "RetrievedModel", "StoredModel"),
    "program.arguments": ("UsageError",),
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
