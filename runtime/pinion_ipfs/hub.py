"""Ask the Hugging Face hub: which commit, which files. Bytes are fetched by the child process of `origin`, never here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError

from .addresses import AddressPolicy
from .errors import InvalidRepository, OriginUnreachable, SourceNotFound, Unauthorized
from .hub_client import get, json_object
from .hub_errors import map_hub_error
from .identity import Commit, RepoId, check_revision
from .listing import HubFile, Listing, select
from .token_hosts import TokenHosts

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
    hub = _Hub(repo, default_endpoint(endpoint), token, token_hosts, timeout, policy)
    check_revision(revision)
    info = await _ask(lambda: hub.info(revision), f"{repo}@{revision}", hub)
    try:
        return Commit.parse(info["sha"])
    except (InvalidRepository, KeyError, TypeError):
        raise OriginUnreachable(f"{hub.endpoint} does not speak the hub's API: no commit for {repo}@{revision}") from None


async def list_files(
    repo: RepoId,
    commit: Commit,
    *,
    endpoint: str = "",
    token: str = "",
    allow_patterns: Sequence[str] = (),
    ignore_patterns: Sequence[str] = (),
    token_hosts: TokenHosts | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    policy: AddressPolicy | None = None,
) -> Listing:
    """Return the selected files of a commit with sizes, oids and the source digest; raises as resolve_commit does."""
    hub = _Hub(repo, default_endpoint(endpoint), token, token_hosts, timeout, policy)
    info = await _ask(lambda: hub.info(str(commit)), f"{repo}@{commit}", hub)
    if info.get("sha") != str(commit):
        raise OriginUnreachable(f"{hub.endpoint} answers for {repo}@{commit} with commit {str(info.get('sha'))[:40]!r}")
    siblings = info.get("siblings")
    if not isinstance(siblings, list):
        raise OriginUnreachable(f"{hub.endpoint} does not speak the hub's API: no list of files for {repo}@{commit}")
    files = [_to_hub_file(entry, repo, hub.endpoint) for entry in siblings]
    return select(files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns)


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
    hub = _Hub(repo, default_endpoint(endpoint), token, token_hosts, timeout, policy)
    await _ask(hub.auth_check, str(repo), hub)


class _Hub:
    """One repository at one hub, with one token; blocking."""

    def __init__(
        self,
        repo: RepoId,
        endpoint: str,
        token: str,
        token_hosts: TokenHosts | None,
        timeout: float,
        policy: AddressPolicy | None,
    ) -> None:
        if token and token_hosts is not None:
            token_hosts.check(endpoint)
        self.endpoint, self.token, self.timeout = endpoint, token, timeout
        self._repo, self._policy = repo, policy

    def info(self, revision: str) -> dict[str, Any]:
        """Return what the hub says of a revision, once the token was found good for its files."""
        path = f"/revision/{quote(revision, safe='')}"
        info = json_object(self.endpoint, self._get(path, self.token, blobs="true"))
        if info.get("gated"):
            # Anyone may list a gated repository; what counts is whether this token gets its files.
            self.auth_check()
        return info

    def auth_check(self) -> None:
        """Raise what the hub answers to this token."""
        self._get("/auth-check", self.token)

    def is_public(self) -> bool:
        """Tell whether anybody may read the repository; raise what the hub answers when it doesn't even tell."""
        return not json_object(self.endpoint, self._get("", "")).get("gated")

    def _get(self, path: str, token: str, **params: str) -> httpx2.Response:
        return get(
            self.endpoint,
            f"/api/models/{self._repo}{path}",
            token=token,
            timeout=self.timeout,
            policy=self._policy,
            params=params,
        )


async def _ask(call: Callable[[], _T], what: str, hub: _Hub) -> _T:
    try:
        return await _in_thread(call, hub)
    except Exception as caught:
        error = map_hub_error(caught, what, hub.endpoint)
        # A bad token hides what is public, and the hub's answer does not say so.
        told_apart = isinstance(caught, GatedRepoError | RevisionNotFoundError)
        hidden = isinstance(error, SourceNotFound | Unauthorized) and not told_apart
        if hub.token and hidden and await _opens_without_token(hub):
            error = Unauthorized(f"{what} at {hub.endpoint}: the token is expired or revoked: without it the repository opens")
        raise error from caught


async def _opens_without_token(hub: _Hub) -> bool:
    try:
        return await _in_thread(hub.is_public, hub)
    except Exception:  # whatever it is: the first answer stands
        return False


async def _in_thread(call: Callable[[], _T], hub: _Hub) -> _T:
    # A few requests at most, each with its own limit: the outer one only guards against what ignores it.
    async with asyncio.timeout(6 * hub.timeout + 5):
        return await asyncio.to_thread(call)


def _to_hub_file(entry: Any, repo: RepoId, endpoint: str) -> HubFile:
    match entry:
        case {"rfilename": str(path), "size": int(size), "blobId": str(oid)} if size >= 0 and _is_hex(oid, 40):
            match entry.get("lfs"):
                case None:
                    return HubFile(path, size, oid)
                case {"sha256": str(sha256)} if _is_hex(sha256, 64):
                    return HubFile(path, size, oid, sha256)
    shown = str(entry.get("rfilename") if isinstance(entry, dict) else entry)[:200]
    raise OriginUnreachable(f"{endpoint} does not speak the hub's API: no size or oid for {shown!r} of {repo}")


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(char in "0123456789abcdef" for char in text)
