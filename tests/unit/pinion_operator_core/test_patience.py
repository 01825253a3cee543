"""Which requests are made again, and how long a server may keep us waiting."""

import errno
import json

import aiohttp
import pytest

from pinion_operator.cluster.patience import (
    DOUBLED_TO,
    DROPPED_AGAIN,
    LONGEST,
    Answer,
    wait_after,
    wait_after_drop,
)

NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


def answer(status: int, retry_after: str = "", body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {**headers, **({"Retry-After": retry_after} if retry_after else {})}, body)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1),
        (" 7 ", 7),
        ("0.5", 0.5),
        ("86400", LONGEST),
        ("999999999999999", LONGEST),
        ("Wed, 21 Oct 2026 07:28:04 GMT", 4),
        ("Wed, 21 Oct 2026 09:28:00 GMT", LONGEST),
    ],
)
def test_what_is_asked_for_is_waited_for_up_to_a_limit(text: str, seconds: float) -> None:
    found = wait_after(answer(429, text, Date=NOW), reads=False, attempt=1)
    assert found is not None
    assert seconds <= found <= seconds * 1.2


@pytest.mark.parametrize(
    "text",
    ["", "0", "soon", "-3", "1e9", "nan", "inf", "٣", "²", "3, 5", "9" * 400, "Wed, 99 Oct 2026 07:28:04 GMT",
     "Wed, 21 Oct 2020 07:28:04 GMT", "Wed, 21 Oct 99999 07:28:04 GMT"],
)  # fmt: skip
def test_where_nothing_sensible_is_asked_for_the_wait_grows_from_attempt_to_attempt(text: str) -> None:
    waits = [wait_after(answer(429, text, Date=NOW), reads=False, attempt=attempt) for attempt in (0, 1, 2, 3, 4, 1000)]
    assert all(found is not None and low / 2 <= found <= low for found, low in zip(waits, (0.25, 0.5, 1, 2, 4, 4), strict=True))
    assert DOUBLED_TO < LONGEST


def test_an_old_servers_wish_stands_in_the_body() -> None:
    body = json.dumps({"details": {"retryAfterSeconds": 3}}).encode()
    found = wait_after(answer(429, body=body), reads=False, attempt=1)
    assert found is not None
    assert 3 <= found <= 3.6
    for strange in (b"[]", b"{}", b'{"details": null}', b'{"details": {"retryAfterSeconds": "x"}}', b"\xff"):
        found = wait_after(answer(429, body=strange), reads=False, attempt=0)
        assert found is not None
        assert found <= 0.25


ETCD = b'{"message": "etcdserver: request timed out"}'
LEADER = b'{"message": "rpc error: etcdserver: leader changed"}'


@pytest.mark.parametrize(
    ("status", "retry_after", "body", "read", "write"),
    [
        (429, "", b"", True, True),
        (503, "1", b"", True, True),
        (503, "", b"", False, False),  # a server that is away: the pass ends and is made again later
        (500, "", ETCD, True, False),  # the write may have happened
        (500, "", LEADER, True, False),
        (500, "1", b"", True, False),
        (504, "1", b"", True, False),
        (500, "", b"panic", False, False),
        (409, "1", b"", False, False),
        (403, "1", b"", False, False),
        (404, "1", ETCD, False, False),
        (422, "1", b"", False, False),
    ],
)
def test_which_answers_are_waited_out(status: int, retry_after: str, body: bytes, read: bool, write: bool) -> None:
    told = answer(status, retry_after, body)
    assert (wait_after(told, reads=True, attempt=1) is not None) == read
    assert (wait_after(told, reads=False, attempt=1) is not None) == write


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), True),
        (aiohttp.ClientOSError(errno.EPIPE, "broken pipe"), True),
        (aiohttp.ClientPayloadError("cut"), True),
        (aiohttp.ClientOSError(errno.ECONNREFUSED, "refused"), False),
        (aiohttp.ClientOSError(errno.EMFILE, "too many open files"), False),
        (TimeoutError(), False),
        (OSError(errno.ECONNREFUSED, "refused"), False),
    ],
)
def test_a_connection_that_was_dropped_is_opened_again_for_what_may_be_repeated(error: Exception, again: bool) -> None:
    assert (wait_after_drop(error, repeatable=True, drops=0) is not None) == again
    assert wait_after_drop(error, repeatable=False, drops=0) is None
    assert wait_after_drop(error, repeatable=True, drops=DROPPED_AGAIN) is None
