"""The folder that models are kept in: made before anybody is asked for anything."""

import os
from pathlib import Path

from pinion_ipfs.errors import StoreInaccessible
from pinion_ipfs.store.files import make_folders


def make_cache_folder(folder: Path) -> None:
    """Make it where it is not there; raise StoreInaccessible that says why it can't be.

    One that can't be written is left as it is: a model may be whole in it.
    """
    hint = "set HF_HOME, or give --cache-dir"
    try:
        make_folders(folder)
    except OSError as error:
        raise StoreInaccessible(f"the cache folder {folder} can't be made: {error.strerror}: {hint}") from error
    if not folder.is_dir():
        what = "a link to nothing" if folder.is_symlink() else "no folder"
        raise StoreInaccessible(f"the cache folder {folder} is {what}: {hint}")
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        raise StoreInaccessible(f"the cache folder {folder} can't be read by user {os.geteuid()}: {hint}")
