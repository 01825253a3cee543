"""What the content server answers to one request: a status, headers, and where the body is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..content.car import car_size, car_stream
from ..content.cid import Cid
from ..content.unixfs import FileLayout, TreeLayout
from ..errors import ContentError
from .http import Head, Request, read_range
from .library import Library, StoredFile, StoredTree, WrongOnDisk
from .revision import Revision

REVISIONS = "/v1/revisions/"
_BLOCKS = "/ipfs/"
_RAW = "application/vnd.ipld.raw"
_CAR = "application/vnd.ipld.car"
_FOR_EVER = {"Cache-Control": "public, max-age=29030400, immutable"}


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file."""

    path: Path
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A head, and a body of one of three kinds."""

    head: Head
    body: bytes = b""
    span: Span | None = None
    pieces: Callable[[], Iterator[bytes]] | None = None


@dataclass
class Shared:
    """What one server shares: its name among its peers, revisions by digest, and their content."""

    instance: str
    library: Library = field(default_factory=Library)
    revisions: dict[str, Revision] = field(default_factory=dict)
    on_wrong: Callable[[WrongOnDisk], None] = lambda wrong: None


def answer(shared: Shared, request: Request) -> Answer:
    """Return the answer to an authorised GET or HEAD; blocking: it may read a block."""
    if request.path.startswith(REVISIONS):
        revision = shared.revisions.get(request.path.removeprefix(REVISIONS))
        if revision is None:
            return refuse(404, "nothing is known of this revision")
        return _whole(revision.encode(shared.instance), "application/json", {"Cache-Control": "no-store"})
    if not request.path.startswith(_BLOCKS):
        return refuse(404, "there are /ipfs/CID and /v1/revisions/DIGEST")
    try:
        cid = Cid.parse(request.path.removeprefix(_BLOCKS))
    except ContentError as error:
        return refuse(400, str(error))
    match _format(request):
        case "raw":
            return _block(shared, cid)
        case "car":
            return _car(shared.library, cid)
        case "":
            return _file(shared.library, cid, request.headers.get("range"))
    return refuse(400, "format is raw or car, or none for the bytes of a file")


def refuse(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    """Return a refusal with its reason."""
    body = message.encode() + b"\n"
    return Answer(Head(status, len(body), {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}), body)


def _format(request: Request) -> str:
    if "format" in request.query:
        return request.query["format"] or "none"
    accept = request.headers.get("accept", "")
    return "raw" if _RAW in accept else "car" if _CAR in accept else ""


def _whole(body: bytes, kind: str, headers: dict[str, str]) -> Answer:
    return Answer(Head(200, len(body), {"Content-Type": kind, **headers}), body)


def _block(shared: Shared, cid: Cid) -> Answer:
    try:
        block = shared.library.block(cid)
    except WrongOnDisk as wrong:
        shared.on_wrong(wrong)
        return refuse(500, "the block is wrong on disk")
    except OSError:
        block = None
    if block is None:
        return refuse(404, "this block belongs to nothing that is served here")
    return _whole(block, _RAW, {"Etag": f'"{cid}.raw"', **_FOR_EVER})


def _car(library: Library, cid: Cid) -> Answer:
    stored = library.tree(cid) or library.file(cid)
    if stored is None:
        return refuse(404, "no model and no file that is served here")
    layout: TreeLayout | FileLayout = stored.tree if isinstance(stored, StoredTree) else stored.layout

    def pieces() -> Iterator[bytes]:
        if isinstance(stored, StoredTree):
            return car_stream(stored.tree, lambda path: stored.files[path].blob.open("rb"))
        return car_stream(stored.layout, lambda path: stored.blob.open("rb"))

    kind = f"{_CAR}; version=1; order=dfs; dups=y"
    return Answer(Head(200, car_size(layout), {"Content-Type": kind, **_FOR_EVER}), pieces=pieces)


def _file(library: Library, cid: Cid, asked: str | None) -> Answer:
    file: StoredFile | None = library.file(cid)
    if file is None:
        return refuse(404, "no file that is served here")
    size = file.layout.size
    found = read_range(asked, size)
    if found is None:
        return refuse(416, f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"})
    first, count = found
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "Etag": f'"{cid}"', **_FOR_EVER}
    if asked is None or (first, count) == (0, size):
        return Answer(Head(200, size, headers), span=Span(file.blob, 0, size))
    headers["Content-Range"] = f"bytes {first}-{first + count - 1}/{size}"
    return Answer(Head(206, count, headers), span=Span(file.blob, first, count))
