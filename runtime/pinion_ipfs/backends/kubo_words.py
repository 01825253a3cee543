"""What is the same however a Kubo is asked: names of pins, words of its errors, codecs, the block of a probe."""

from ..content.cid import DAG_PB, RAW, Cid

PROBE = b"pinion probe\n"  # always the same block, so that probing does not fill the repository
EMPTY_NODE = Cid.of_block(DAG_PB, b"")  # without data and links
MAX_FILE = 1024 * 1024  # bytes of a file that is added as one leaf
SLOWEST_IMPORT = 2 * 1024 * 1024  # bytes per second; below it an import counts as hung
WALK_SECONDS = 600.0  # a walk reads every block: as slow as an import may be, and its size is not known before
CODECS = {RAW: "raw", DAG_PB: "dag-pb"}
ADD_OPTIONS = {"cid-version": "1", "raw-leaves": "true", "chunker": "size-1048576", "pin": "false", "quieter": "true"}
# How Kubo says that a block is not in its repository.
MISSING = ("not found", "not locally available")
DIFFERENT = "different hash"  # and that what it has is not what its CID says
AS_GOOD_AS_LOST = "it is as good as lost, and is put again"
NOT_PINNED = "not pinned"
RECURSIVE, DIRECT = "recursive", "direct"
PIN_NAME = "pinion"  # of pins that are ours; those under another name, or none, stay
OVER_DIRECT = "pinion over direct: "  # and of those that took the place of a direct pin, whose name follows


def is_our_pin(name: str) -> bool:
    """Tell by a pin's name whether this project made it."""
    return name == PIN_NAME or name.startswith(OVER_DIRECT)


def says_missing(text: str) -> bool:
    """Tell whether an error of Kubo's means that a block is not there."""
    return any(words in text for words in MISSING)
