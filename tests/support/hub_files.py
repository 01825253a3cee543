"""Files as the hub announces them."""

import hashlib

from pinion_ipfs.hub.listing import HubFile


def make_hub_file(path: str, data: bytes, *, lfs: bool = False) -> HubFile:
    """Return what a listing says of a file."""
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return HubFile(path, len(data), oid, hashlib.sha256(data).hexdigest() if lfs else None)
