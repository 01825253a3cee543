"""Ask the Hugging Face hub: which commit, which files. Bytes are fetched by the child process of `origin`, never here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError

from ..errors import SourceNotFound, Unauthorized
from ..net.addresses import AddressPolicy
from ..net.token_hosts import TokenHosts
from . import selection
from .bounds import check_bounds
from .client import TIMEOUTS
from .errors import map_hub_error
from .identity import Commit, RepoId, check_revision
from .listing import HubFile, Listing, select
from .repository import HubRepository

__all__ = [
    "Commit",
    "HubFile",
    "Listing",
    "RepoId",
    "auth_check",
    "default_endpoint",
    "list_files",
    "map_hub_error",
    "resolve_commit",
]

DEFAULT_TIMEOUT = 20.0
_T = TypeVar("_T")


def default_endpoint(endpoint: str = "") -> str:
    """Return the hub's address without a trailing slash; '' means the library's own (`HF_ENDPOINT`)."""
    return (endpoint or HfApi().endpoint).rstrip("/")


async def resolve_commit(
    repo: RepoId,
    revision: str,
    *,
    endpoint: str = "",
    token: str = "",
    token_hosts: TokenHosts | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    policy: AddressPolicy | None = None,
) -> Commit:
    """Return the commit of a branch, tag or commit, once access to its files is granted too.

    `token` '' sends none: a token stored on this machine never goes to an endpoint that somebody else chose. `token_hosts`
    says who else may not have it; None: whoever gave the token named the endpoint too.
    With a policy somebody else named the endpoint.
    Raises SourceNotFound, Unauthorized, OriginRateLimited, OriginUnreachable, InvalidRepository, AddressRefused.
    """
    hub = HubRepository(repo, default_endpoint(endpoint), token, token_hosts, timeout, policy)
    check_revision(revision)
    return await _ask(lambda: hub.resolve(revision), f"{repo}@{revision}", hub, timeout)


async def list_files(
    repo: RepoId,
    commit: Commit,
    *,
    endpoint: str = "",
    token: str = "",
    allow_patterns: Sequence[str] = (),
    ignore_patterns: Sequence[str] = (),
    selection_rule: int = selection.CURRENT,
    read_config: bool = False,
    token_hosts: TokenHosts | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    policy: AddressPolicy | None = None,
) -> Listing:
    """Return the selected files of a commit with sizes, oids and the source digest; raises as resolve_commit does.

    `read_config`: also what config.json says of the weights, where the list alone looks like a model.
    """
    hub = HubRepository(repo, default_endpoint(endpoint), token, token_hosts, timeout, policy)

    def choose(files: Sequence[HubFile]) -> Listing:
        return select(files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns, selection_rule=selection_rule)

    listing = await _ask(lambda: hub.listing(commit, choose, read_config=read_config), f"{repo}@{commit}", hub, timeout)
    await asyncio.to_thread(check_bounds, repo, commit, listing)
    return listing


async def auth_check(
    repo: RepoId,
    *,
    endpoint: str = "",
    token: str = "",
    token_hosts: TokenHosts | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    policy: AddressPolicy | None = None,
) -> None:
    """Return when this token gets the repository's files; raise Unauthorized or SourceNotFound when it doesn't.

    A gated repository's tree can be listed by anyone: who wants to reuse bytes that came with another token passes this first.
    """
    hub = HubRepository(repo, default_endpoint(endpoint), token, token_hosts, timeout, policy)
    await _ask(hub.auth_check, str(repo), hub, timeout)


async def _ask(call: Callable[[], _T], what: str, hub: HubRepository, timeout: float) -> _T:
    try:
        return await _in_thread(call, timeout)
    except Exception as caught:
        error = map_hub_error(caught, what, hub.endpoint)
        # A bad token hides what is public, and the hub's answer does not say so.
        told_apart = isinstance(caught, GatedRepoError | RevisionNotFoundError | SourceNotFound)  # the last one is ours
        hidden = isinstance(error, SourceNotFound | Unauthorized) and not told_apart
        if hub.token and hidden and await _opens_without_token(hub, timeout):
            error = Unauthorized(f"{what} at {hub.endpoint}: the token is expired or revoked: without it the repository opens")
        raise error from caught


async def _opens_without_token(hub: HubRepository, timeout: float) -> bool:
    try:
        return await _in_thread(hub.is_public, timeout)
    except Exception:  # whatever it is: the first answer stands
        return False


async def _in_thread(call: Callable[[], _T], timeout: float) -> _T:
    # The requests have limits of their own: the outer one only guards against what ignores them.
    async with asyncio.timeout(TIMEOUTS * timeout + 5):
        return await asyncio.to_thread(call)
