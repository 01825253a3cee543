"""`pinion-ipfs fetch`: bring a model of the hub into the local store and print its CID."""

import argparse
import asyncio
import os
import sys

from huggingface_hub import constants, get_token, is_offline_mode

from ..fetching.fetcher import STALL_SECONDS, Fetcher, FetchRequest, Snapshot
from ..hub.revisions import RepoId, resolve_commit
from ..hub.xet_choice import choose_xet
from ..program.arguments import UsageError, token_problem
from ..program.printable import printable_name
from ..routing.finding import url_of
from ..store import Store
from ..store.offline import find_commit
from .environment import check_authorities
from .interrupting import run
from .output import show
from .progress_bar import drawn


def fetch(options: argparse.Namespace) -> int:
    """Fetch a model revision, verify it, and print its CID and where it lies."""
    snapshot = run(_fetch(options))
    facts = {
        "cid": str(snapshot.cid),
        "manifestCid": str(snapshot.manifest_cid),
        "repo": str(snapshot.repo),
        "commit": str(snapshot.commit),
        "path": str(snapshot.path),
        "size": snapshot.size_bytes,
        "files": snapshot.file_count,
        "unconfirmed": snapshot.unconfirmed,
    }
    show(options, f"{snapshot.cid}\n{printable_name(str(snapshot.path))}", facts)
    if snapshot.unconfirmed and not options.json:
        print(f"unconfirmed: {snapshot.unconfirmed}", file=sys.stderr)
    return 0


async def _fetch(options: argparse.Namespace) -> Snapshot:
    choose_xet(options.xet, os.environ)
    if options.offline or is_offline_mode():
        for option, given in (("--endpoint", options.endpoint), ("--xet", options.xet)):
            if given:
                raise UsageError(f"fetch: {option} has no effect where HF_HUB_OFFLINE is set: nobody is asked")
        return await _at_hand(options.repo, options)
    check_authorities()
    if not options.endpoint:
        url_of("HF_ENDPOINT")
    # A token stored on this machine is for the user's own hub, not for an endpoint named on the command line.
    token = "" if options.endpoint or constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token() or ""
    if token and (problem := token_problem(token)):
        raise UsageError(f"the token in HF_TOKEN, or the one that `hf auth login` stored: {problem}")
    commit = await resolve_commit(options.repo, options.revision, endpoint=options.endpoint, token=token)
    request = FetchRequest(options.repo, options.revision, commit, options.endpoint, token, expected_cid=options.cid)
    # As the hub's library is told, else longer than it would wait by itself.
    stall_seconds = float(os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT") or 0) or STALL_SECONDS
    with drawn("fetching") as draw:
        fetcher = Fetcher(Store.default(), on_progress=draw, stall_seconds=stall_seconds)
        try:
            listing = await fetcher.resolve(request)
            return await fetcher.verify(await fetcher.fetch(request, listing))
        finally:
            await fetcher.close()


async def _at_hand(repo: RepoId, options: argparse.Namespace) -> Snapshot:
    """Verify what is in the store; whatever is found to be wrong or missing on the way is named, and nobody is asked."""
    store = Store.default()
    commit = await asyncio.to_thread(find_commit, store, repo, options.revision)
    request = FetchRequest(repo, str(commit), commit, expected_cid=options.cid, offline=True)
    fetcher = Fetcher(store)
    listing = await fetcher.resolve(request)
    return await fetcher.verify(await fetcher.fetch(request, listing))
