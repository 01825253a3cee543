"""What a source leads to: its commit, and which files of what size, asked of the hub."""

from dataclasses import dataclass, field

from pinion_ipfs.errors import (
    AddressRefused,
    ContentError,
    InvalidRepository,
    NoAnswer,
    OriginRateLimited,
    SourceNotFound,
    TokenRefused,
    Unauthorized,
    UnsupportedDag,
)
from pinion_ipfs.hub import Commit, RepoId, list_files, resolve_commit

from ..api.source import HuggingFaceSource
from ..conditions import Reason
from ..reconcile.model.source import SourceFacts, Unresolved
from .own_trouble import OwnTrouble, is_our_own
from .reach import hub_policy
from .tokens import FINAL_AGAIN, Credential

TIMEOUT_SECONDS = 10.0  # of one request; there are a few at most
SHORTEST, LONGEST = 2.0, 60.0  # seconds between attempts when the hub does not answer


@dataclass(frozen=True)
class Access:
    """How the hub of a source is reached."""

    default_endpoint: str = ""  # for sources that name none; "" = the library's
    credential: Credential = field(default_factory=Credential)
    networks: tuple[str, ...] = ()  # beside public addresses, for an endpoint that the object names; in CIDR notation


async def probe_source(source: HuggingFaceSource, access: Access, attempt: int) -> SourceFacts | Unresolved:
    """Return the resolved source, or why there is none and when to ask again; `attempt` counts failures in a row, from 0."""
    try:
        return await _list(source, access, await _resolve(source, access))
    except ContentError as error:
        return to_unresolved(error, attempt)


async def probe_upstream(source: HuggingFaceSource, access: Access, known: SourceFacts) -> SourceFacts | Unresolved:
    """Return where the source leads now; the files are listed only when that is another commit than the known one."""
    try:
        commit = await _resolve(source, access)
        return known if str(commit) == known.commit else await _list(source, access, commit)
    except ContentError as error:
        return to_unresolved(error, 0)


def to_unresolved(error: ContentError, attempt: int) -> Unresolved:
    """Return what an error of the hub means: final ones are asked again slowly, the others with a growing distance.

    Raise OwnTrouble for an error that tells nothing of the hub.
    """
    if is_our_own(error):
        raise OwnTrouble("the hub", error) from error
    backoff = min(LONGEST, SHORTEST * 2 ** min(attempt, 10))
    match error:
        case TokenRefused():
            return Unresolved(Reason.UNAUTHORIZED, str(error), final=True, again_in=FINAL_AGAIN, asked=False)
        case Unauthorized():
            return Unresolved(Reason.UNAUTHORIZED, str(error), final=True, again_in=FINAL_AGAIN)
        case SourceNotFound() | InvalidRepository() | UnsupportedDag():
            return Unresolved(Reason.SOURCE_NOT_FOUND, str(error), final=True, again_in=FINAL_AGAIN)
        case AddressRefused():
            return Unresolved(Reason.INVALID_SPEC, str(error), final=True, again_in=FINAL_AGAIN)
        case NoAnswer():
            return Unresolved(Reason.ORIGIN_UNREACHABLE, str(error), final=False, again_in=backoff, asked=False)
        case OriginRateLimited():
            again = min(3600.0, max(backoff, error.retry_after or 0.0))
            return Unresolved(Reason.ORIGIN_RATE_LIMITED, str(error), final=False, again_in=again)
    return Unresolved(Reason.ORIGIN_UNREACHABLE, str(error), final=False, again_in=backoff)


async def _resolve(source: HuggingFaceSource, access: Access) -> Commit:
    return await resolve_commit(
        RepoId.parse(source.repo),
        source.revision,
        endpoint=source.endpoint or access.default_endpoint,
        token=access.credential.token,
        token_hosts=access.credential.hosts,
        timeout=TIMEOUT_SECONDS,
        policy=hub_policy(source.endpoint, access.default_endpoint, access.networks),
    )


async def _list(source: HuggingFaceSource, access: Access, commit: Commit) -> SourceFacts:
    listing = await list_files(
        RepoId.parse(source.repo),
        commit,
        endpoint=source.endpoint or access.default_endpoint,
        token=access.credential.token,
        token_hosts=access.credential.hosts,
        allow_patterns=source.allow_patterns,
        ignore_patterns=source.ignore_patterns,
        timeout=TIMEOUT_SECONDS,
        policy=hub_policy(source.endpoint, access.default_endpoint, access.networks),
    )
    return SourceFacts(str(commit), listing.source_digest, listing.total_bytes, len(listing.files))
