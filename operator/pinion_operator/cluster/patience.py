"""Which requests are made again, and after how long: decided here, carried out by the client."""

import errno
import json
import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp

LONGEST = 8.0  # seconds of one wait: the API server asks for no more; a proxy that asks for an hour is not obeyed
SHORTEST, DOUBLED_TO = 0.25, 4.0  # seconds, where nobody says how long: doubled with each attempt
DROPPED_AGAIN = 2  # how often a request is made again whose connection ended before the answer
_DROPPED = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE)
_ETCD = re.compile(rb"etcdserver: |leader changed")  # it elects a leader, or is slow: the same read succeeds a moment later
_SECONDS = re.compile(r"\d{1,15}(\.\d+)?", re.ASCII)


class Patience(NamedTuple):
    """How much of it there is for one request."""

    attempts: int = 10
    seconds: float = 60.0  # of all waits together


PATIENT, IMPATIENT = Patience(), Patience(attempts=1)


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def asks_for(self) -> float | None:
        """Return after how many seconds it wants to be asked again; None when it does not say so in a way that is one."""
        header = self.headers.get("Retry-After", "").strip()
        if _SECONDS.fullmatch(header):
            return float(header)
        if (moment := _moment(header)) is not None:
            return max(0.0, (moment - (_moment(self.headers.get("Date", "")) or datetime.now(UTC))).total_seconds())
        return _seconds_in(self.body)  # how API servers said it before they had the header


def wait_after(answer: Answer, *, reads: bool, attempt: int) -> float | None:
    """Return the seconds to wait before the same request is made again; None: the answer stands.

    A request that was refused with 429, or with 503 and a time, was not carried out, so a write is made again too.
    """
    asked = answer.asks_for
    if answer.status == 429 or (answer.status == 503 and asked is not None):
        return pause(asked, attempt)
    if reads and answer.status >= 500 and (asked is not None or _ETCD.search(answer.body)):
        return pause(asked, attempt)
    return None


def wait_after_drop(error: BaseException, *, repeatable: bool, drops: int) -> float | None:
    """Return the seconds to wait when the connection ended instead of an answer; None: the error stands.

    A server that closes idle connections, or goes away for another to take its place. Such a request may have been carried out.
    """
    reset = isinstance(error, aiohttp.ClientOSError) and error.errno in _DROPPED
    ended = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError)
    if not repeatable or drops >= DROPPED_AGAIN or not (reset or ended):
        return None
    return random.uniform(0.05, 0.2)


def pause(asked: float | None, attempt: int) -> float:
    """Return the wait for what was asked, spread a little: those who are told the same time come back one after another."""
    if not asked:  # also 0: at once would be a loop
        return random.uniform(0.5, 1.0) * min(DOUBLED_TO, SHORTEST * 2.0 ** min(attempt, 16))
    return min(LONGEST, asked) * random.uniform(1.0, 1.2)


def _moment(text: str) -> datetime | None:
    """Return the time of an HTTP date."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds_in(body: bytes) -> float | None:
    try:
        seconds = json.loads(body)["details"]["retryAfterSeconds"]
    except (ValueError, KeyError, TypeError):
        return None
    return float(seconds) if isinstance(seconds, int) and 0 < seconds < 1e15 else None
