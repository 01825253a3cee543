"""The observer of the tests can fail: against a server that refuses, lies, or tells the truth."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from typing import Any

import pytest

from tests.support.observer import Answer, Claim, Observer, ask_embedding, read_claim
from tests.support.waiting import wait_until

GOOD, OTHER = "bafy-good", "bafy-other"


class Model(BaseHTTPRequestHandler):
    status, cid, vector = 200, GOOD, [0.5]

    def do_POST(self) -> None:  # http.server calls it by this name
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"data": [{"embedding": self.vector}]}).encode()
        self.send_response(self.status)
        self.send_header("x-model-cid", self.cid)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def model() -> Iterator[type[Model]]:
    """Serve a model of the test's own class, whose answers it changes."""
    handler = type("Model", (Model,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def watch(model: Any, claim: Claim, until: int = 5) -> Observer:
    observer = Observer(lambda: claim, lambda: ask_embedding(model.url, "m"), pause=0.001)
    with observer:
        wait_until(lambda: observer.asked >= until, "some requests")
    return observer


READY = Claim(True, "then", frozenset({GOOD}))


def test_the_truth_is_no_moment(model: Any) -> None:
    observer = watch(model, READY)
    observer.check(at_least=5)
    assert observer.claimed == observer.asked


@pytest.mark.parametrize(
    ("change", "words"),
    [({"status": 503}, "HTTP 503"), ({"cid": OTHER}, OTHER), ({"cid": ""}, "no CID"), ({"vector": [0.0]}, "empty vector")],
)
def test_each_lie_is_a_moment(model: Any, change: dict[str, Any], words: str) -> None:
    for name, value in change.items():
        setattr(model, name, value)
    observer = watch(model, READY)
    with pytest.raises(AssertionError, match="wrong moments"):
        observer.check()
    assert len(observer.moments) == observer.asked
    assert words in observer.moments[0].what


def test_a_server_that_is_gone_is_a_moment() -> None:
    observer = Observer(lambda: READY, lambda: ask_embedding("http://127.0.0.1:9", "m"), pause=0.001)
    with observer:
        wait_until(lambda: observer.moments, "a moment")
    assert "refused" in observer.moments[0].what


def test_who_claims_nothing_cannot_lie_and_shows_nothing(model: Any) -> None:
    model.status = 503
    observer = watch(model, Claim(False))
    assert observer.moments == []
    with pytest.raises(AssertionError, match="met Ready=True"):
        observer.check()


def test_a_claim_that_fell_meanwhile_does_not_count() -> None:
    claims = chain([READY, Claim(False), READY, Claim(True, "later", READY.cids)], repeat(Claim(False)))
    observer = Observer(lambda: next(claims), lambda: Answer(refused="away"), pause=0.001)
    with observer:
        wait_until(lambda: observer.asked >= 3, "some requests")
    assert observer.moments == []


def test_nobody_to_ask_is_no_lie() -> None:
    observer = Observer(lambda: READY, lambda: Answer(asked=False), pause=0.001)
    with observer:
        wait_until(lambda: observer.looks >= 5, "some looks")
    assert (observer.asked, observer.moments) == (0, [])


def test_an_observer_that_breaks_is_not_silent() -> None:
    def broken() -> Claim:
        raise LookupError("no status")

    with pytest.raises(LookupError), Observer(broken, lambda: Answer()):
        pass


def test_what_a_status_claims() -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "then"}
    status = {"observedGeneration": 2, "conditions": [ready], "serving": [{"cid": GOOD, "replicas": 1}]}
    obj: dict[str, Any] = {"metadata": {"generation": 2}, "status": status}
    assert read_claim(obj) == READY
    assert not read_claim({**obj, "metadata": {"generation": 3}}).ready
    assert not read_claim({"metadata": {"generation": 1}}).ready
    ready["reason"] = "Suspended"
    assert not read_claim(obj).ready, "no pods as asked for: nobody is to answer"
