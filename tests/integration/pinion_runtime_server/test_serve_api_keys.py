"""A server that asks for API keys: what is guarded, what stays open, and keys that change while it runs."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.hub import Hub
from tests.support.serve import Serve, Served, wait_until

pytestmark = pytest.mark.model
PAGE = "https://app.example"


@dataclass
class Guarded:
    served: Served
    keys: Path

    def ask(self, authorization: str | None = None, *, path: str = "/v1/embeddings", method: str = "POST") -> httpx.Response:
        headers = {} if authorization is None else {"Authorization": authorization}
        body: Any = {"model": self.served.model, "input": "kettle"} if method == "POST" else None
        return httpx.request(method, self.served.base + path, json=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def guarded(hub: Hub, tmp_path_factory: pytest.TempPathFactory, serve_cache: Path) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys"
    keys.mkdir()
    (keys / "ann").write_text("sk-ann\n")
    (keys / "bob").write_text("sha256:" + hashlib.sha256(b"sk-bob").hexdigest())
    starter = Serve(hub, folder, serve_cache)
    try:
        served = starter.flags(hub.minilm, "--api-keys-dir", str(keys), "--live-seconds", "0.1", "--cors-origins", PAGE)
        served.wait_ready(300)
        yield Guarded(served, keys)
    finally:
        starter.stop_all()


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-should-retry"] == "false"
    assert "sk-" not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("key", ["sk-ann", "sk-bob"])
def test_a_clients_key_lets_it_in(guarded: Guarded, scheme: str, key: str) -> None:
    assert guarded.ask(f"{scheme} {key}").status_code == 200
    assert guarded.ask(f"{scheme}  {key}", path="/v1/models", method="GET").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer sk-an", "Bearer sk-annn", "sk-ann", "Basic sk-ann", "Bearer \xfc", "Bearer " + "x" * 5000],
)
def test_anything_else_is_refused(guarded: Guarded, authorization: str | None) -> None:
    given = None if authorization is None else authorization.encode("latin-1").decode("latin-1")
    headers = [] if given is None else [(b"authorization", given.encode("latin-1"))]
    for method, path in (("POST", "/v1/embeddings"), ("GET", "/v1/models"), ("GET", f"/v1/models/{guarded.served.model}")):
        refused(httpx.request(method, guarded.served.base + path, headers=headers, json={}, timeout=30))


def test_a_page_asks_beforehand_without_a_key_and_reads_why_it_is_refused(guarded: Guarded) -> None:
    asked = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for path in ("/v1/embeddings", "/", "/embed", "/v1/models", "/nowhere"):
        answer = httpx.options(guarded.served.base + path, headers=asked, timeout=60)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, PAGE)
        refusal = httpx.post(guarded.served.base + path, headers={"origin": PAGE}, json={}, timeout=60)
        assert (refusal.status_code in (401, 404), refusal.headers["access-control-allow-origin"]) == (True, PAGE)
    assert "access-control-allow-origin" not in guarded.served.get("/livez").headers
    assert guarded.served.status().cors_origins == (PAGE,)


def test_a_key_in_the_url_or_another_header_does_not_count(guarded: Guarded) -> None:
    for name in ("api_key", "api-key", "key", "access_token", "token"):
        refused(guarded.ask(path=f"/v1/embeddings?{name}=sk-ann"))
    refused(httpx.post(f"{guarded.served.base}/v1/embeddings", headers={"x-api-key": "sk-ann"}, json={}, timeout=30))


def test_every_route_but_health_asks_for_a_key(guarded: Guarded) -> None:
    paths = httpx.post(f"{guarded.served.base}/nowhere", timeout=30).json()["error"]["message"].partition("Paths: ")[2]
    routes = [path.replace("{id}", "x") for path in paths.removesuffix(".").split(", ")]
    assert {"/health", "/v1/embeddings", "/v1/models"} <= set(routes)
    for path in set(routes) - {"/health"}:
        for method in ("GET", "POST", "OPTIONS", "PUT"):
            refused(guarded.ask(path=path, method=method))


def test_probes_status_and_metrics_stay_open(guarded: Guarded) -> None:
    assert httpx.get(f"{guarded.served.base}/health", timeout=30).status_code == 200
    for path in ("/livez", "/readyz", "/startupz", "/health", "/status", "/metrics"):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = httpx.get(guarded.served.management + path, headers=headers, timeout=30)
            assert answer.status_code == 200
            assert "sk-" not in answer.text


def test_the_official_client(guarded: Guarded) -> None:
    with openai.OpenAI(base_url=f"{guarded.served.base}/v1", api_key="sk-ann", max_retries=0, timeout=30) as client:
        assert len(client.embeddings.create(model=guarded.served.model, input="x").data[0].embedding) == 384
    stranger = openai.OpenAI(base_url=f"{guarded.served.base}/v1", api_key="wrong", timeout=30)
    with stranger, pytest.raises(openai.AuthenticationError) as wrong:
        stranger.models.list()
    assert wrong.value.code == "invalid_api_key"


def test_keys_change_without_a_restart_and_without_any_nobody_is_let_in(guarded: Guarded) -> None:
    def statuses(*keys: str) -> Callable[[], list[int]]:
        return lambda: [guarded.ask(f"Bearer {key}").status_code for key in keys]

    (guarded.keys / "eve").write_text("sk-eve")
    wait_until(lambda: statuses("sk-eve", "sk-ann")() == [200, 200], 60, "a new client is let in")
    (guarded.keys / "eve").unlink()
    wait_until(lambda: statuses("sk-eve", "sk-ann")() == [401, 200], 60, "a client that was taken out is refused")
    aside = guarded.keys.with_name("aside")
    guarded.keys.rename(aside)
    try:
        wait_until(lambda: statuses("sk-ann", "sk-bob")() == [401, 401], 60, "without keys nobody is let in")
        assert guarded.served.get("/readyz").status_code == 200
    finally:
        aside.rename(guarded.keys)
    wait_until(lambda: statuses("sk-ann", "sk-bob")() == [200, 200], 60, "the keys are back")


def test_refusals_are_counted_and_no_key_is_ever_logged(guarded: Guarded) -> None:
    before = guarded.served.metric("hf_server_requests_total", status="401")
    refused(guarded.ask("Bearer sk-wrong-key"))
    assert guarded.served.metric("hf_server_requests_total", status="401") == before + 1
    log = guarded.served.log.read_text()
    assert "ann" in log
    assert "sk-" not in log
