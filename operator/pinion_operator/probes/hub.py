"""What a source leads to: its commit, and which files of what size, asked of the hub."""

from dataclasses import dataclass, field, replace

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
    UnsupportedModel,
)
from pinion_ipfs.hub.model_list import check_model_list
from pinion_ipfs.hub.revisions import Commit, Listing, RepoId, list_files, resolve_commit
from pinion_ipfs.hub.selection import CURRENT

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
        commit = await _resolve(source, access)
        listing = await _list(source, access, commit)
        check_model_list(listing)
    except ContentError as error:
        return to_unresolved(error, attempt)
    return _facts(commit, listing)


async def probe_upstream(
    source: HuggingFaceSource, access: Access, known: SourceFacts, serving: SourceFacts
) -> SourceFacts | Unresolved:
    """Return where the source leads now; the files are listed only when that is another commit than the known one.

    They are chosen as those that serve were: the same files are the same whatever rule a later operator has. Only for others
    the newest rule counts.
    """
    try:
        commit = await _resolve(source, access)
        if str(commit) == known.commit:
            return known
        facts = _facts(commit, await _list(source, access, commit, serving.selection_rule), serving.selection_rule)
        if facts.source_digest == serving.source_digest:
            return facts
        listing = await _list(source, access, commit)
        facts = _facts(commit, listing)
        check_model_list(listing)
    except UnsupportedModel as error:
        return replace(facts, unsupported=str(error))
    except ContentError as error:
        return to_unresolved(error, 0)
    return facts


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
        case UnsupportedModel():
            return Unresolved(Reason.UNSUPPORTED_MODEL, str(error), final=True, again_in=FINAL_AGAIN)
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


def _facts(commit: Commit, listing: Listing, rule: int = CURRENT) -> SourceFacts:
    return SourceFacts(str(commit), listing.source_digest, listing.total_bytes, len(listing.files), rule)


async def _list(source: HuggingFaceSource, access: Access, commit: Commit, rule: int = CURRENT) -> Listing:
    return await list_files(
        RepoId.parse(source.repo),
        commit,
        endpoint=source.endpoint or access.default_endpoint,
        token=access.credential.token,
        token_hosts=access.credential.hosts,
        allow_patterns=source.allow_patterns,
        ignore_patterns=source.ignore_patterns,
        selection_rule=rule,
        read_config=True,
        timeout=TIMEOUT_SECONDS,
        policy=hub_policy(source.endpoint, access.default_endpoint, access.networks),
    )
