"""The functions for programs on a loop of their own: `from pinion_ipfs import aio`, then `await aio.cat(cid)`."""

from .functions.asynchronous import (
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
from .functions.selection import describe_backend_capabilities_async as describe_backend_capabilities
from .functions.selection import get_backend_async as get_backend
from .functions.selection import select_backend_async as select_backend
from .manager.asynchronous import ModelManager

__all__ = [
    "ModelManager",
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
    "describe_backend_capabilities",
    "gc",
    "get_backend",
    "get_to_path",
    "has",
    "ls",
    "pin",
    "pin_ls",
    "select_backend",
    "stat",
    "unpin",
]
