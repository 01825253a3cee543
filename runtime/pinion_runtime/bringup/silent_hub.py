"""What is served while the hub is silent, or is not to be asked: what is whole in the cache, and how sure that is."""

import asyncio
import logging

from pinion_ipfs.errors import ContentError, OriginRateLimited, OriginUnreachable
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.revisions import resolve_commit
from pinion_ipfs.store import Store
from pinion_ipfs.store.offline import find_commit, list_whole

SILENT = (OriginUnreachable, OriginRateLimited)  # it does not say no
_log = logging.getLogger(__name__)


async def find_revision(
    store: Store, repo: RepoId, revision: str, *, endpoint: str, token: str, offline: bool
) -> tuple[Commit, str]:
    """Return the commit that a revision means, and what is unconfirmed of that, '' when the hub has said so.

    Where the hub is silent, or not to be asked, it is what the cache says, if that has all of the commit. Raises what
    `resolve_commit` raises, and SourceNotFound for what an offline cache does not have.
    """
    if offline:
        return await asyncio.to_thread(_at_hand, store, repo, revision)
    try:
        return await resolve_commit(repo, revision, endpoint=endpoint, token=token), ""
    except SILENT as silent:
        try:
            found = await asyncio.to_thread(_at_hand, store, repo, revision)
        except ContentError as error:
            raise explained(silent, error) from error
        tell_served(silent)
        return found


def explained(silent: ContentError, error: ContentError) -> ContentError:
    """Return the hub's error with why the cache does not help."""
    silent.args = (f"{silent}; nor is it whole in the cache: {error}",)
    return silent


def tell_served(silent: ContentError) -> None:
    """Tell the log that the cache does."""
    _log.warning("%s: what is whole in the cache is served", silent)


def _at_hand(store: Store, repo: RepoId, revision: str) -> tuple[Commit, str]:
    commit = find_commit(store, repo, revision)
    list_whole(store, repo, commit)
    return commit, "" if revision == str(commit) else f"the hub has not said that {revision} is {commit}: only the cache does"
