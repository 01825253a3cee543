"""Ask the Hugging Face hub: which commit, which files. Bytes are fetched by the child process of `origin`, never here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import httpx2
from huggingface_hub import HfApi, get_session, hf_raise_for_status
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo, RepoSibling

from .errors import ContentError, DownloadFailed, OriginRateLimited, OriginUnreachable, SourceNotFound, Unauthorized
from .identity import Commit, RepoId
from .listing import HubFile, Listing, select

__all__ = ["Commit", "HubFile", "Listing", "RepoId", "default_endpoint", "list_files", "map_hub_error", "resolve_commit"]

DEFAULT_TIMEOUT = 20.0
_T = TypeVar("_T")


def default_endpoint(endpoint: str = "") -> str:
    """Return the hub's address without a trailing slash; '' means the library's own (`HF_ENDPOINT`)."""
    return (endpoint or HfApi().endpoint).rstrip("/")


async def resolve_commit(
    repo: RepoId, revision: str, *, endpoint: str = "", token: str = "", timeout: float = DEFAULT_TIMEOUT
) -> Commit:
    """Return the commit of a branch, tag or commit, once access to its files is granted too.

    `token` '' sends none: a token stored on this machine never goes to an endpoint that somebody else chose.
    Raises SourceNotFound, Unauthorized, OriginRateLimited, OriginUnreachable.
    """
    info = await _ask(lambda: _model_info(repo, revision, endpoint, token, timeout), f"{repo}@{revision}", endpoint, timeout)
    if not info.sha:
        raise OriginUnreachable(f"{default_endpoint(endpoint)} named no commit for {repo}@{revision}: is it a hub?")
    return Commit.parse(info.sha)


async def list_files(
    repo: RepoId,
    commit: Commit,
    *,
    endpoint: str = "",
    token: str = "",
    allow_patterns: Sequence[str] = (),
    ignore_patterns: Sequence[str] = (),
    timeout: float = DEFAULT_TIMEOUT,
) -> Listing:
    """Return the selected files of a commit with sizes, oids and the source digest; raises as resolve_commit does."""
    info = await _ask(lambda: _model_info(repo, str(commit), endpoint, token, timeout), f"{repo}@{commit}", endpoint, timeout)
    files = [_to_hub_file(sibling, repo) for sibling in info.siblings or []]
    return select(files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns)


def map_hub_error(error: BaseException, what: str, endpoint: str) -> ContentError:
    """Turn what huggingface_hub raised into ours; the message names `what` and where it was asked, never a response body."""
    where = f"{what} at {endpoint}"
    # The library wraps a failed request as a miss of its own cache; what matters is beneath.
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        return map_hub_error(error.__cause__, what, endpoint)
    match error:
        case ContentError():
            return error
        case GatedRepoError():  # before its base class RepositoryNotFoundError; both can come as 401
            return Unauthorized(f"{where}: the repository is gated and this token has no access to it")
        case DisabledRepoError():
            return Unauthorized(f"{where}: access to the repository is disabled")
        case RevisionNotFoundError():
            return SourceNotFound(f"{where}: no such revision")
        case RepositoryNotFoundError():
            return SourceNotFound(f"{where}: no such repository, or it is private and this token has no access to it")
        case RemoteEntryNotFoundError():
            return SourceNotFound(f"{where}: no such file")
        case HFValidationError():
            return SourceNotFound(f"{where}: not a valid repository name")
        case HfHubHTTPError():
            return _map_status(error, where)
        case httpx2.TimeoutException() | TimeoutError():
            return OriginUnreachable(f"{where}: no answer in time")
        case httpx2.HTTPError() | OfflineModeIsEnabled() | EntryNotFoundError():
            return OriginUnreachable(f"{where}: {type(error).__name__}: {error}")
    return DownloadFailed(f"{where}: {type(error).__name__}: {error}")


def _map_status(error: HfHubHTTPError, where: str) -> ContentError:
    status = error.response.status_code
    if status == 429:
        value = error.response.headers.get("Retry-After", "")
        return OriginRateLimited(f"{where}: too many requests", retry_after=float(value) if value.isdigit() else None)
    if status in (401, 403):
        return Unauthorized(f"{where}: HTTP {status}")
    if status in (404, 410):
        return SourceNotFound(f"{where}: HTTP {status}")
    if status >= 500 or status == 408:
        return OriginUnreachable(f"{where}: HTTP {status}")
    return DownloadFailed(f"{where}: HTTP {status}")


def _model_info(repo: RepoId, revision: str, endpoint: str, token: str, timeout: float) -> ModelInfo:
    api = HfApi(endpoint=default_endpoint(endpoint), token=token or False)
    info = api.model_info(str(repo), revision=revision, files_metadata=True, timeout=timeout)
    if info.gated:
        # Anyone may list a gated repository; what counts is whether this token gets its files.
        url = f"{api.endpoint}/api/models/{repo}/auth-check"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        hf_raise_for_status(get_session().get(url, headers=headers, timeout=timeout))
    return info


async def _ask(call: Callable[[], _T], what: str, endpoint: str, timeout: float) -> _T:
    try:
        # Two requests at most, each with its own limit: the outer one only guards against a library that ignores it.
        async with asyncio.timeout(2 * timeout + 5):
            return await asyncio.to_thread(call)
    except Exception as error:
        raise map_hub_error(error, what, default_endpoint(endpoint)) from error


def _to_hub_file(sibling: RepoSibling, repo: RepoId) -> HubFile:
    if sibling.size is None or not sibling.blob_id:
        raise OriginUnreachable(f"{repo}: the hub names no size or oid for {sibling.rfilename}: is it a hub?")
    return HubFile(sibling.rfilename, sibling.size, sibling.blob_id, sibling.lfs.sha256 if sibling.lfs else None)
