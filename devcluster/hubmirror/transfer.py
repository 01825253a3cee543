"""Bodies of files: ranges, pace, counts."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from .faults import BodyFault, Fault
from .repository import MirrorFile, Settings

_CHUNK = 256 * 1024
_LISTING = "pinion"  # as whom repositories are listed; downloads are those of the hub's own library
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class RepoStats:
    """What one repository was asked for; bytes are those of file bodies, counted as they are written.

    What is read of a small file while a repository is listed is counted apart: it is no download.
    """

    api_requests: int = 0
    file_heads: int = 0
    file_gets: int = 0
    bytes: int = 0
    listing_gets: int = 0
    listing_bytes: int = 0
    gets_by_path: Counter[str] = field(default_factory=Counter)
    bytes_by_path: Counter[str] = field(default_factory=Counter)


class Stats:
    """Counts per repository, as `/-/stats` answers them."""

    def __init__(self) -> None:
        self.repos: dict[str, RepoStats] = defaultdict(RepoStats)

    def as_json(self) -> dict[str, object]:
        """Return the counts of every repository and their sums."""
        repos = {repo: vars(stats) for repo, stats in sorted(self.repos.items())}
        totals = {
            name: sum(getattr(stats, name) for stats in self.repos.values())
            for name in ("api_requests", "file_heads", "file_gets", "bytes")
        }
        return {"repos": repos, **totals}


class Pace:
    """Lets bytes through at a rate that all streams share."""

    def __init__(self, bytes_per_second: int) -> None:
        self.rate = bytes_per_second
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until `count` more bytes may go; a rate of 0 never waits."""
        if self.rate:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + count / self.rate
            await asyncio.sleep(self._free_at - now)


@dataclass(frozen=True)
class Span:
    """The bytes of a file to send; `partial` when a range was asked for."""

    offset: int
    length: int
    partial: bool


def parse_range(header: str | None, size: int) -> Span | None:
    """Return what a single byte range means, the whole file without a header, None for one that can't be met."""
    whole = Span(0, size, False)
    if header is None:
        return whole
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return whole  # RFC 9110: a server may ignore a range it doesn't understand
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return Span(size - length, length, True) if length else None
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    return Span(start, end - start + 1, True) if start <= end else None


async def send_file(
    request: web.Request,
    file: MirrorFile,
    headers: dict[str, str],
    settings: Settings,
    paces: list[Pace],
    stats: RepoStats,
    faults: Sequence[Fault] = (),
) -> web.StreamResponse:
    """Answer GET or HEAD of a file with ranges, paced, counted, with the faults that were ordered for its body."""
    span = parse_range(request.headers.get("Range"), file.size)
    if span is None:
        return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{file.size}"})
    response = web.StreamResponse(status=206 if span.partial else 200, headers=headers)
    response.headers["Accept-Ranges"] = "bytes"
    response.content_type = "application/octet-stream"
    body = BodyFault(faults, span.length)
    if "Content-Length" not in headers:
        response.content_length = body.length
    if span.partial:
        response.headers["Content-Range"] = f"bytes {span.offset}-{span.offset + span.length - 1}/{file.size}"
    await response.prepare(request)
    if request.method == "HEAD":
        stats.file_heads += 1
        return response
    listing = request.headers.get("User-Agent") == _LISTING
    if listing:
        stats.listing_gets += 1
    else:
        stats.file_gets += 1
        stats.gets_by_path[file.path] += 1
    chunk_size = min([_CHUNK, *(max(1024, pace.rate // 20) for pace in paces if pace.rate)])
    with await asyncio.to_thread(file.source.open, "rb") as stream:
        stream.seek(span.offset)
        left = span.length
        while left > 0 and (chunk := await asyncio.to_thread(stream.read, min(chunk_size, left))):
            if file.path in settings.corrupt and left == span.length:
                chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
            left -= len(chunk)
            for pace in paces:
                await pace.take(len(chunk))
            going_on = await body.send(request, response, chunk)
            if listing:
                stats.listing_bytes += len(chunk)
            else:
                stats.bytes += len(chunk)
                stats.bytes_by_path[file.path] += len(chunk)
            if not going_on:
                break
    await response.write_eof()
    return response
