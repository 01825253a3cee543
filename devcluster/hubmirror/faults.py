"""Faults on order: what one repository does wrong, how often, and where in an answer. Read from its `.mirror.json`."""

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

BEFORE = frozenset({"status", "silent", "redirect"})  # instead of an answer
BODY = frozenset({"stall", "reset", "cut", "short", "flip"})  # in the body of a file
HEAD = frozenset({"headers"})  # in the header of an otherwise right answer


@dataclass(frozen=True)
class Fault:
    """One fault. `on` is a pattern over `METHOD target`; the target is the path of a file, or `api/info`, `api/auth-check`.

    status: answer `status` with `set` as headers. silent: take the request and say nothing. redirect: `status` and `location`.
    stall, reset, cut: send the part `at` of the body, then nothing more, a TCP reset, a clean end. short: announce and send
    only that part. flip: one wrong bit there. headers: leave out `omit`, add `set`.
    """

    kind: str
    on: str = "*"
    times: int = 0  # how many requests it meets; 0 = all
    at: float = 0.5
    status: int = 503
    location: str = ""
    set: tuple[tuple[str, str], ...] = ()
    omit: tuple[str, ...] = ()

    @classmethod
    def read(cls, raw: dict[str, Any]) -> "Fault":
        """Return the fault of a JSON object; raise ValueError for an unknown kind or key."""
        if unknown := sorted(raw.keys() - cls.__dataclass_fields__.keys()):
            raise ValueError(f"unknown keys of a fault: {unknown}; known: {sorted(cls.__dataclass_fields__)}")
        if raw.get("kind") not in BEFORE | BODY | HEAD:
            raise ValueError(f"unknown kind of fault {raw.get('kind')!r}; known: {sorted(BEFORE | BODY | HEAD)}")
        values = dict(raw)
        values["set"] = tuple((str(key), str(value)) for key, value in dict(raw.get("set", {})).items())
        values["omit"] = tuple(raw.get("omit", ()))
        return cls(**values)


class FaultLog:
    """Counts how often each fault was met, so that it ends after `times`; another order in the file is another fault."""

    def __init__(self) -> None:
        self._met: Counter[tuple[str, str]] = Counter()

    def take(self, repo: str, faults: Sequence[Fault], target: str, kinds: frozenset[str]) -> list[Fault]:
        """Return the faults of these kinds that meet a request, and count them."""
        met = []
        for fault in faults:
            key = repo, json.dumps(asdict(fault), sort_keys=True)
            if fault.kind in kinds and fnmatchcase(target, fault.on) and (not fault.times or self._met[key] < fault.times):
                self._met[key] += 1
                met.append(fault)
        return met


async def answer_before(faults: Sequence[Fault]) -> web.Response | None:
    """Return the answer that a fault gives instead of the right one, or None; a silent one never returns."""
    for fault in faults:
        match fault.kind:
            case "silent":
                await asyncio.Event().wait()
            case "redirect":
                return web.Response(status=fault.status, headers={"Location": fault.location})
            case "status":
                return web.json_response({"error": "as ordered"}, status=fault.status, headers=dict(fault.set))
    return None


def spoil_headers(headers: dict[str, str], faults: Sequence[Fault]) -> dict[str, str]:
    """Return headers with those of the faults added and left out."""
    for fault in faults:
        headers = {key: value for key, value in headers.items() if key not in fault.omit} | dict(fault.set)
    return headers


class BodyFault:
    """Applies the first body fault of a request to the chunks of a body."""

    def __init__(self, faults: Sequence[Fault], length: int) -> None:
        self._fault = faults[0] if faults else None
        self._at = min(int(length * self._fault.at), max(length - 1, 0)) if self._fault else length
        self._done = 0
        self.length = self._at if self._fault and self._fault.kind == "short" else length

    async def send(self, request: web.Request, response: web.StreamResponse, chunk: bytes) -> bool:
        """Write a chunk; return False when the body is over."""
        place = self._at - self._done
        self._done += len(chunk)
        if self._fault is None or not 0 <= place < len(chunk):
            await response.write(chunk)
            return True
        if self._fault.kind == "flip":
            await response.write(chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1 :])
            return True
        if place:
            await response.write(chunk[:place])
        if self._fault.kind == "stall":
            await asyncio.Event().wait()
        if self._fault.kind != "short":
            _hang_up(request, reset=self._fault.kind == "reset")
        return False


def _hang_up(request: web.Request, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if reset:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
