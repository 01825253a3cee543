"""What a source leads to: its commit, and which files of what size, asked of the hub once."""

from pinion_ipfs.errors import ContentError, InvalidRepository, OriginRateLimited, SourceNotFound, Unauthorized, UnsupportedDag
from pinion_ipfs.hub import RepoId, list_files, resolve_commit

from ..api.modeldeployment import HuggingFaceSource
from ..conditions import Reason
from ..reconcile.observed import SourceFacts, Unresolved

TIMEOUT_SECONDS = 10.0  # of one request; there are three at most
FINAL_AGAIN = 60.0  # seconds: a repository may be made, or access be granted, and nobody would tell us
SHORTEST, LONGEST = 2.0, 60.0  # seconds between attempts when the hub does not answer


async def probe_source(source: HuggingFaceSource, default_endpoint: str, attempt: int) -> SourceFacts | Unresolved:
    """Return the resolved source, or why there is none and when to ask again; `attempt` counts failures in a row, from 0."""
    endpoint = source.endpoint or default_endpoint
    try:
        repo = RepoId.parse(source.repo)
        commit = await resolve_commit(repo, source.revision, endpoint=endpoint, timeout=TIMEOUT_SECONDS)
        listing = await list_files(
            repo,
            commit,
            endpoint=endpoint,
            allow_patterns=source.allow_patterns,
            ignore_patterns=source.ignore_patterns,
            timeout=TIMEOUT_SECONDS,
        )
    except ContentError as error:
        return to_unresolved(error, attempt)
    return SourceFacts(str(commit), listing.source_digest, listing.total_bytes, len(listing.files))


def to_unresolved(error: ContentError, attempt: int) -> Unresolved:
    """Return what an error of the hub means: final ones are asked again slowly, the others with a growing distance."""
    backoff = min(LONGEST, SHORTEST * 2 ** min(attempt, 10))
    match error:
        case Unauthorized():
            return Unresolved(Reason.UNAUTHORIZED, str(error), final=True, again_in=FINAL_AGAIN)
        case SourceNotFound() | InvalidRepository() | UnsupportedDag():
            return Unresolved(Reason.SOURCE_NOT_FOUND, str(error), final=True, again_in=FINAL_AGAIN)
        case OriginRateLimited():
            again = min(3600.0, max(backoff, error.retry_after or 0.0))
            return Unresolved(Reason.ORIGIN_RATE_LIMITED, str(error), final=False, again_in=again)
    return Unresolved(Reason.ORIGIN_UNREACHABLE, str(error), final=False, again_in=backoff)
