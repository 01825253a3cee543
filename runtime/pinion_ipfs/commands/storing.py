"""`pinion-ipfs add --store`: bring a directory into the local store, where it can be served and pinned by its CID."""

import argparse

from ..content.errors import UnreadableSource
from ..content.tree import Listing
from ..program.arguments import UsageError
from ..program.printable import printable_name
from ..store import Store
from ..store.trees import store_files
from .laying_out import chosen, total_of
from .output import show
from .progress_bar import counted


def store(options: argparse.Namespace) -> int:
    """Copy the files into the Hugging Face cache as repository `ipfs/CID`, and print the CID and where they lie."""
    if not options.path.is_dir():
        options.path.stat()
        raise UsageError(f"--store takes a directory, as a repository is one, and this is none: {options.path}")
    listing = chosen(options)
    _check(options, listing)
    with counted("storing", total_of(listing.files)) as add:
        stored = store_files(Store.default(), listing.files, add)
    facts = {
        "cid": str(stored.cid),
        "size": stored.tree.size,
        "files": len(listing.files),
        "manifestCid": str(stored.manifest_cid),
        "repo": str(stored.manifest.repo),
        "commit": str(stored.manifest.commit),
        "path": str(stored.path),
    }
    show(options, f"{stored.cid}\n{printable_name(str(stored.path))}", facts)
    return 0


def _check(options: argparse.Namespace, listing: Listing) -> None:
    """Raise UnreadableSource for what a cache can't hold: it has no empty directories, and the CID would be another."""
    if not listing.files:
        raise UnreadableSource(f"{options.path}: there is no file in it")
    full = {path[:at] for path in listing.files for at, char in enumerate(path) if char == "/"}
    if empty := sorted(set(listing.directories) - full):
        raise UnreadableSource(
            f"{options.path / empty[0]}: an empty directory, which a Hugging Face cache can't hold: remove it, or choose files "
            "by --allow"
        )
