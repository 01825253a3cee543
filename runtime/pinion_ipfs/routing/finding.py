"""The backends that this machine has, by their names, as variables of the environment describe them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..backends.base import Backend
from ..backends.hf_cache import HfCache
from ..backends.ipfs_kit import IpfsKit
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from ..program.arguments import UsageError, token_problem, url_problem, variable
from ..store import Store
from .choice import HF_CACHE, IPFS_KIT, KUBO, KUBO_CLI, KUBO_RPC, LIST, is_named
from .kubo import KuboEither

API, TOKEN, PROGRAM = "KUBO_API", "KUBO_API_TOKEN", "KUBO_CMD"
KIT_CACHE = "IPFS_KIT_CACHE_DIR"


def find_backend(name: str, api: str = "", *, asked_by: str = LIST) -> Backend | None:
    """Return a backend by one of the names that are ours, None for one that this machine lacks and can do without.

    Raise UsageError for one way to Kubo that `asked_by` names and that is not there. `api` goes before KUBO_API.
    """

    def needed(backend: Backend | None, why_not: str) -> Backend:
        if backend is None:
            raise UsageError(f"{asked_by} names {name}, and {why_not}")
        return backend

    makers: dict[str, Callable[[], Backend | None]] = {
        IPFS_KIT: lambda: find_ipfs_kit(asked_by),
        HF_CACHE: local_store,
        KUBO: lambda: find_kubo(api),
        KUBO_RPC: lambda: needed(find_kubo_rpc(api), f"neither --kubo-api nor {API} says where it is"),
        KUBO_CLI: lambda: needed(find_kubo_cli(), f"{PROGRAM} names no program, and there is no `ipfs` with a repository"),
    }
    return makers[name]()


def find_ipfs_kit(asked_by: str = LIST) -> IpfsKit | None:
    """Return ipfs_kit where the package is installed, or where it is named all the same."""
    kit = IpfsKit(cache_dir=folder_of(KIT_CACHE))
    return kit if kit.installed or asked_by != LIST or is_named(os.environ, IPFS_KIT) else None


def local_store() -> HfCache:
    """Return the store of this user."""
    return HfCache(HF_CACHE, Store.default())


def find_kubo(api: str = "") -> KuboRpc | KuboCli | KuboEither | None:
    """Return Kubo by its API where KUBO_API names one that answers, else by its program; None without either.

    An address in an argument, `api`, means that one and no other.
    """
    by_api = find_kubo_rpc(api)
    by_program = None if api else find_kubo_cli()
    return KuboEither(by_api, by_program) if by_api and by_program else by_api or by_program


def find_kubo_rpc(api: str = "") -> KuboRpc | None:
    """Return Kubo by the address of its API, None when none is named."""
    # The token comes from the environment alone: arguments can be read by everybody on the machine.
    api = api or url_of(API)
    return KuboRpc(KUBO_RPC, api, token=token_of(TOKEN), token_source=TOKEN) if api else None


def find_kubo_cli() -> KuboCli | None:
    """Return Kubo by the program that KUBO_CMD names, or by `ipfs` of PATH where this user has a repository."""
    if named := os.environ.get(PROGRAM, "").strip():
        if not shutil.which(named):
            raise UsageError(f"{PROGRAM}: there is no program {named!r}")
        return KuboCli(KUBO_CLI, named)
    repository = Path(os.environ.get("IPFS_PATH") or Path.home() / ".ipfs")
    return KuboCli(KUBO_CLI) if shutil.which("ipfs") and (repository / "config").is_file() else None


def url_of(name: str) -> str:
    """Return the URL in a variable, '' when it is not set."""
    url = variable(name, os.environ)
    if url and (problem := url_problem(url)):
        raise UsageError(f"{name}: {problem}")
    return url


def folder_of(name: str) -> Path | None:
    """Return the folder in a variable, None when it is not set, or empty; it need not be there yet."""
    if not (text := os.environ.get(name, "").strip()):
        return None
    folder = Path(text).expanduser().absolute()
    if (folder.exists() and not folder.is_dir()) or "\0" in text:
        raise UsageError(f"{name}: {text[:200]!r} is no folder")
    return folder


def token_of(name: str) -> str:
    """Return the bearer token in a variable, '' when it is not set."""
    token = variable(name, os.environ)
    if token and (problem := token_problem(token)):
        raise UsageError(f"the token in {name}: {problem}")
    return token
