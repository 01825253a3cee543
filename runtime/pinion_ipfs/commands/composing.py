"""Which backends the commands ask: the local store, then a Kubo by its API or its program, then a gateway."""

import argparse
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..backends.base import Backend
from ..backends.gateway import Gateway
from ..backends.hf_cache import HfCache
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from ..errors import ContentMissing
from ..program.arguments import UsageError
from ..routing.router import Router
from ..store import Store
from .environment import check_authorities, token_of, url_of

API, TOKEN, PROGRAM = "KUBO_API", "KUBO_API_TOKEN", "KUBO_CMD"
_MORE_TO_ASK = "only the local store was asked: name a Kubo by --kubo-api, KUBO_API or KUBO_CMD, or a gateway by --gateway"


class NoEntry(ContentMissing):
    """A directory that is there lacks a name; whoever else were asked, it would."""


@asynccontextmanager
async def open_router(options: argparse.Namespace) -> AsyncIterator[Router]:
    """Open a router of all that is configured."""
    check_authorities()
    backends: list[Backend] = [local_store()]
    if kubo := find_kubo(options):
        backends.append(kubo)
    if options.gateway:
        backends.append(Gateway("gateway", options.gateway))
    router = Router(backends)
    try:
        yield router
    except NoEntry:
        raise
    except ContentMissing as error:
        if len(backends) == 1:
            raise ContentMissing(f"{error}; {_MORE_TO_ASK}") from error
        raise
    finally:
        await router.close()


def local_store() -> HfCache:
    """Return the store of this user."""
    return HfCache("hf_cache", Store.default())


def find_kubo(options: argparse.Namespace) -> KuboRpc | KuboCli | None:
    """Return Kubo by its API where one is named, else by its program where that has a repository, None without either."""
    return find_kubo_rpc(options) or find_kubo_cli()


def find_kubo_rpc(options: argparse.Namespace) -> KuboRpc | None:
    """Return Kubo by the address of its API, None when none is named."""
    # The token comes from the environment alone: arguments can be read by everybody on the machine.
    api = options.kubo_api or url_of(API)
    return KuboRpc("kubo_rpc", api, token=token_of(TOKEN), token_source=TOKEN) if api else None


def find_kubo_cli() -> KuboCli | None:
    """Return Kubo by the program that KUBO_CMD names, or by `ipfs` of PATH where this user has a repository."""
    if named := os.environ.get(PROGRAM, "").strip():
        if not shutil.which(named):
            raise UsageError(f"{PROGRAM}: there is no program {named!r}")
        return KuboCli("kubo_cli", named)
    repository = Path(os.environ.get("IPFS_PATH") or Path.home() / ".ipfs")
    return KuboCli("kubo_cli") if shutil.which("ipfs") and (repository / "config").is_file() else None
