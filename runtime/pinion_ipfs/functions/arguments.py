"""What callers give: checked before any backend is asked, so that nobody falls back on a mistake."""

from ..backends.collecting import GcOrder
from ..content.cid import DAG_PB, RAW, Cid
from ..content.leaves import CHUNK
from ..errors import ContentError

MAX_BYTES = 64 * 1024 * 1024  # of content that is given or returned in one piece
MAX_BLOCK = CHUNK  # bytes of a block that is put
ADD_PATH, IMPORT_FILE = "use add_path", "use dag_import_file"
_CODECS = {"raw": RAW, "dag-pb": DAG_PB}
_CHUNKERS = (None, f"size-{CHUNK}")


class ContentTooLarge(ContentError):
    """Content that is more than a function takes or returns in one piece; the message names the function for any size."""

    reason = "ContentTooLarge"


def parse_cid(cid: str | Cid) -> Cid:
    """Return a CID; raise InvalidCid or UnsupportedDag for a text that is none, TypeError for anything else."""
    if isinstance(cid, Cid):
        return cid
    if not isinstance(cid, str):
        raise TypeError(f"a CID is a str, not {type(cid).__name__}")
    return Cid.parse(cid)


def check_data(data: bytes | bytearray | memoryview, most: int, instead: str) -> bytes:
    """Return the bytes; raise TypeError for what is none, ContentTooLarge for more than `most`."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data is bytes, not {type(data).__name__}")
    size = memoryview(data).nbytes
    if size > most:
        raise ContentTooLarge(f"{size} bytes are more than {most}: {instead}")
    return bytes(data)


def parse_codec(codec: str) -> int:
    """Return the number of a codec."""
    if codec not in _CODECS:
        raise ValueError(f"codec: one of {', '.join(_CODECS)}, not {codec!r}")
    return _CODECS[codec]


def check_gc(high: int, low: int | None, foreign: bool, idle_seconds: float, dry_run: bool) -> GcOrder:
    """Return what is asked of a collection; raise TypeError or ValueError for limits that are none."""
    for name, number in (("high", high), ("low", low), ("idle_seconds", idle_seconds)):
        whole = name != "idle_seconds"
        if number is None and name == "low":
            continue
        if isinstance(number, bool) or not isinstance(number, int if whole else int | float):
            raise TypeError(f"{name}: a number{' of bytes' if whole else ''}, not {number!r}")
        if not 0 <= number < float("inf"):
            raise ValueError(f"{name}: 0 or more, not {number}")
    if low is not None and low > high:
        raise ValueError(f"low: {low} is more than high, {high}")
    return GcOrder(high, low, bool(foreign), float(idle_seconds), bool(dry_run))


def check_chunker(chunker: str | None) -> None:
    """Refuse every layout but the one that gives a model its address."""
    if chunker not in _CHUNKERS:
        raise ValueError(f"chunker: files are cut as {_CHUNKERS[1]!r}, which gives them their address, and not as {chunker!r}")
