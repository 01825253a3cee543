"""What huggingface_hub and its HTTP client raise, in our words: a name for machines, a message without a response's body."""

import time
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import ContentError, DownloadFailed, OriginRateLimited, OriginUnreachable, SourceNotFound, Unauthorized
from ..net.connection_errors import explain, explain_status


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
            return Unauthorized(f"{where}: the repository is gated and {_access(error)}")
        case DisabledRepoError():
            return Unauthorized(f"{where}: access to the repository is disabled")
        case RevisionNotFoundError():
            return SourceNotFound(f"{where}: no such revision")
        case RepositoryNotFoundError():
            return SourceNotFound(f"{where}: no such repository, or it is private and {_access(error)}")
        case RemoteEntryNotFoundError():
            return SourceNotFound(f"{where}: no such file")
        case HFValidationError():
            return SourceNotFound(f"{where}: not a valid repository name")
        case HfHubHTTPError():
            return map_status(error.response, where)
        case FileMetadataError():
            header = "ETag" if "ETag" in str(error) else "Content-Length" if "Length" in str(error) else "X-Repo-Commit"
            return OriginUnreachable(f"{where}: it does not speak the hub's API: its answer lacks the header {header}")
        case httpx2.TimeoutException() | TimeoutError():
            return OriginUnreachable(f"{where}: no answer in time")
        case httpx2.HTTPError() | OfflineModeIsEnabled() | EntryNotFoundError() | httpx2.InvalidURL():
            return OriginUnreachable(f"{where}: {explain(error, _url_of(error) or endpoint)}")
    return DownloadFailed(f"{where}: {type(error).__name__}: {error}")


def _access(error: HfHubHTTPError) -> str:
    """Say why the hub may hide a repository from us."""
    sent = "authorization" in error.response.request.headers
    return "this token has no access to it" if sent else "no token was sent"


def map_status(response: httpx2.Response, where: str) -> ContentError:
    """Return what an HTTP status means that has no name of its own."""
    status, said = response.status_code, explain_status(response.status_code, str(response.request.url))
    if status == 407:  # of a proxy on the way
        return OriginUnreachable(f"{where}: {said}")
    if status == 429:
        return OriginRateLimited(f"{where}: too many requests (HTTP 429)", retry_after=retry_after(response))
    if status in (401, 403):
        return Unauthorized(f"{where}: {said}: the token is missing, expired or has no access")
    if status in (404, 410):
        return SourceNotFound(f"{where}: {said}")
    if status >= 500 or status == 408:
        return OriginUnreachable(f"{where}: {said}")
    return DownloadFailed(f"{where}: {said}")


def _url_of(error: BaseException) -> str:
    """Return the URL of the request that failed, '' when the error does not know it: a redirect may have led elsewhere."""
    try:
        return str(error.request.url) if isinstance(error, httpx2.RequestError) else ""
    except RuntimeError:
        return ""


def retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as a date; None for none, or for nonsense."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
