"""Which backends the commands ask: those that the environment chooses and this machine has, then a gateway."""

import argparse
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ..backends.base import Backend
from ..backends.gateway import Gateway
from ..backends.hf_cache import HfCache
from ..backends.ipfs_kit import IpfsKit
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from ..errors import ContentMissing
from ..program.arguments import UsageError
from ..routing.choice import HF_CACHE, IPFS_KIT, KUBO, KUBO_CLI, KUBO_RPC, LIST, choose_backends, is_named
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
    backends = chosen_backends(options)
    router = Router(backends)
    try:
        yield router
    except NoEntry:
        raise
    except ContentMissing as error:
        if [backend.name for backend in backends] == [HF_CACHE]:
            raise ContentMissing(f"{error}; {_MORE_TO_ASK}") from error
        raise
    finally:
        await router.close()


def chosen_backends(options: argparse.Namespace) -> list[Backend]:
    """Return the backends that the environment chooses and this machine has, then those that options name beside them."""
    makers: dict[str, Callable[[], Backend | None]] = {
        IPFS_KIT: find_ipfs_kit,
        HF_CACHE: local_store,
        KUBO: lambda: find_kubo(options),
        KUBO_RPC: lambda: _needed(find_kubo_rpc(options), f"neither --kubo-api nor {API} says where it is"),
        KUBO_CLI: lambda: _needed(find_kubo_cli(), f"{PROGRAM} names no program, and there is no `ipfs` with a repository"),
    }
    chosen = choose_backends(os.environ)
    made = [makers[name]() for name in chosen]
    if options.kubo_api and KUBO not in chosen and KUBO_RPC not in chosen:
        made.append(find_kubo_rpc(options))
    if options.gateway:
        made.append(Gateway("gateway", options.gateway))
    return [backend for backend in made if backend is not None]


def find_ipfs_kit() -> IpfsKit | None:
    """Return ipfs_kit where the package is installed, or where the environment names it all the same."""
    kit = IpfsKit()
    return kit if kit.installed or is_named(os.environ, IPFS_KIT) else None


def _needed(backend: KuboRpc | KuboCli | None, why_not: str) -> Backend:
    if backend is None:
        raise UsageError(f"{LIST} names {KUBO_RPC if API in why_not else KUBO_CLI}, and {why_not}")
    return backend


def local_store() -> HfCache:
    """Return the store of this user."""
    return HfCache(HF_CACHE, Store.default())


def find_kubo(options: argparse.Namespace) -> KuboRpc | KuboCli | None:
    """Return Kubo by its API where one is named, else by its program where that has a repository, None without either."""
    return find_kubo_rpc(options) or find_kubo_cli()


def find_kubo_rpc(options: argparse.Namespace) -> KuboRpc | None:
    """Return Kubo by the address of its API, None when none is named."""
    # The token comes from the environment alone: arguments can be read by everybody on the machine.
    api = options.kubo_api or url_of(API)
    return KuboRpc(KUBO_RPC, api, token=token_of(TOKEN), token_source=TOKEN) if api else None


def find_kubo_cli() -> KuboCli | None:
    """Return Kubo by the program that KUBO_CMD names, or by `ipfs` of PATH where this user has a repository."""
    if named := os.environ.get(PROGRAM, "").strip():
        if not shutil.which(named):
            raise UsageError(f"{PROGRAM}: there is no program {named!r}")
        return KuboCli(KUBO_CLI, named)
    repository = Path(os.environ.get("IPFS_PATH") or Path.home() / ".ipfs")
    return KuboCli(KUBO_CLI) if shutil.which("ipfs") and (repository / "config").is_file() else None
