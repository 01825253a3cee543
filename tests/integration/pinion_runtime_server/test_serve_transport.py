"""The transport of a running pod: encodings, what is no request, and what its counters and its log tell of it."""

import gzip
import json
import socket
import zlib
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from pinion_contract import metric_names as names
from tests.support.serve import Served
from tests.support.vectors import answered

pytestmark = pytest.mark.model


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
        ("identity", bytes),
    ],
)
def test_an_encoded_body_has_the_same_vector(minilm_served: Served, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    text = json.dumps({"model": minilm_served.model, "input": "Kessel, чайник, やかん"}, ensure_ascii=False)
    plain = answered(minilm_served.post(text.encode()))
    for unicode in ("utf-8", "utf-8-sig", "utf-16", "utf-32-be"):
        answer = minilm_served.post(encode(text.encode(unicode)), headers={"content-encoding": encoding})
        # Two passes over the same text need not have the same last bits.
        np.testing.assert_allclose(answered(answer), plain, atol=1e-6, err_msg=unicode)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/", "/embed"])
def test_one_that_is_not_taken_is_refused_on_every_route(minilm_served: Served, path: str) -> None:
    for name in ("br", "zstd"):
        answer = minilm_served.post(b"x", path=path, headers={"content-encoding": name})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
        assert answer.headers["accept-encoding"] == "gzip, deflate"


def send(port: int, data: bytes) -> httpx.Response:
    """Send bytes, and return the answer to them."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        with connection.makefile("rb") as stream:
            head, _, body = stream.read().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return httpx.Response(int(first.split()[1]), headers=[line.split(": ", 1) for line in lines], content=body)


def test_what_is_no_request_is_told_counted_and_logged(minilm_served: Served) -> None:
    labels = {"error_type": "malformed_http"}
    before = minilm_served.metric(names.ERRORS_TOTAL, **labels)
    for port in (minilm_served.port, minilm_served.management_port):
        answer = send(port, b"nonsense\r\n\r\n")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_http")
        assert answer.headers["x-model-cid"] == minilm_served.status().model.opened_cid
    assert minilm_served.metric(names.ERRORS_TOTAL, **labels) == before + 1  # what is asked of management is no traffic
    assert minilm_served.log.read_text().count("refused a connection of 127.0.0.1: This is no request of HTTP/1.1") == 2
