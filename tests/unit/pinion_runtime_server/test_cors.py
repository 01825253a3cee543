"""Web pages: nothing for them unless origins are allowed; then a preflight without a key, and headers on refusals too."""

from collections.abc import AsyncIterator

import httpx
import pytest

from pinion_contract.config import Limits
from pinion_contract.origins import problem_of_origin
from pinion_runtime.server.admission import Admission
from pinion_runtime.server.app import App
from pinion_runtime.server.cors import Cors
from pinion_runtime.server.errors import ApiError, Code
from pinion_runtime.server.http import Request, Response, json_response
from tests.support.observers import Recorder

PAGE = "https://app.example"
LOCAL = "http://localhost:3000"
KEY = {"authorization": "Bearer key"}


class Desk:
    """An application with a guard, and one route of each outcome."""

    def __init__(self) -> None:
        self.origins: tuple[str, ...] = (PAGE, LOCAL)
        self.recorder = Recorder()
        self.admission = Admission(lambda: Limits(max_body_bytes=10))
        routes = {
            "/echo": {"POST": self.echo},
            "/models/": {"GET": self.hello},
            "/busy": {"POST": self.busy},
            "/broken": {"GET": self.broken},
            "/health": {"GET": self.hello},
        }
        cors = Cors(lambda: self.origins)
        self.app = App(routes, self.recorder, guard=self.guard, unguarded=["/health"], cors=cors)

    def guard(self, request: Request) -> None:
        if request.header(b"authorization") != KEY["authorization"]:
            raise ApiError(401, Code.INVALID_API_KEY, "a key is needed")

    async def hello(self, _: Request) -> Response:
        return json_response("hello")

    async def echo(self, request: Request) -> Response:
        return Response(200, await self.admission.read_body(request))

    async def busy(self, _: Request) -> Response:
        raise ApiError(429, Code.QUEUE_FULL, "busy", retry_after=3)

    async def broken(self, _: Request) -> Response:
        raise ValueError


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=desk.app), base_url="http://test") as asking:
        yield asking


async def preflight(
    client: httpx.AsyncClient, path: str, origin: str = PAGE, method: str = "POST", headers: str = ""
) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": method}
    if headers:
        asked["access-control-request-headers"] = headers
    return await client.options(path, headers=asked)


def told(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that browsers look at."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-") or name == "vary"}


async def test_off_is_off(desk: Desk, client: httpx.AsyncClient) -> None:
    desk.origins = ()
    answers = [
        await preflight(client, "/echo"),
        await client.post("/echo", headers={"origin": PAGE, **KEY}),
        await client.get("/nowhere", headers={"origin": PAGE}),
    ]
    assert [answer.status_code for answer in answers] == [401, 200, 404]
    assert [told(answer) for answer in answers] == [{}, {}, {}]
    assert (await preflight(client, "/health")).status_code == 405


@pytest.mark.parametrize("path", ["/echo", "/models/a", "/health", "/nowhere"])
@pytest.mark.parametrize("origin", [PAGE, LOCAL])
async def test_a_preflight_needs_no_key(client: httpx.AsyncClient, path: str, origin: str) -> None:
    answer = await preflight(client, path, origin, headers="authorization,content-type, x-stainless-lang")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type, x-stainless-lang"
    assert answer.headers["access-control-max-age"] == "3600"
    assert "origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["x-request-id"]


async def test_one_without_headers_of_its_own(client: httpx.AsyncClient) -> None:
    answer = await preflight(client, "/health", method="GET")
    assert (answer.status_code, "access-control-allow-headers" in answer.headers) == (204, False)


@pytest.mark.parametrize("headers", ["a b", "a\x7f", "a,,b", "x: y", "x" * 3000, "é"])
async def test_names_of_headers_that_are_none(client: httpx.AsyncClient, headers: str) -> None:
    asked = [(b"origin", PAGE.encode()), (b"access-control-request-method", b"POST")]
    asked.append((b"access-control-request-headers", headers.encode("latin-1")))
    answer = await client.options("/echo", headers=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert answer.headers["access-control-allow-origin"] == PAGE


STRANGERS = [
    *("https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example/", "https://APP.example"),
    *(
        "https://app.example.evil.example",
        "https://evilapp.example",
        "null",
        "",
        "*",
        "https://app.example, https://evil.example",
    ),
]


@pytest.mark.parametrize("origin", STRANGERS)
async def test_another_page_reads_nothing(client: httpx.AsyncClient, origin: str) -> None:
    asked = await preflight(client, "/echo", origin)
    assert (asked.status_code, asked.json()["error"]["code"]) == (403, "origin_not_allowed")
    answer = await client.post("/echo", content=b"x", headers={"origin": origin, **KEY})
    assert (answer.status_code, answer.content) == (200, b"x")  # who may ask is the key's affair
    assert [told(asked), told(answer)] == [{"vary": "origin"}] * 2


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/echo", b"x", KEY, 200),
        ("HEAD", "/models/a", b"", KEY, 200),
        ("POST", "/echo", b"x", {}, 401),
        ("GET", "/nowhere", b"", {}, 404),
        ("PUT", "/echo", b"x", KEY, 405),
        ("OPTIONS", "/echo", b"", KEY, 405),
        ("POST", "/echo", b"x" * 11, KEY, 413),
        ("POST", "/echo", b"x", {**KEY, "content-encoding": "br"}, 415),
        ("POST", "/busy", b"x", KEY, 429),
        ("GET", "/broken", b"", KEY, 500),
    ],
)
async def test_every_answer_can_be_read_by_an_allowed_page(
    desk: Desk, client: httpx.AsyncClient, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    expected = {
        "access-control-allow-origin": PAGE,
        "access-control-expose-headers": "x-request-id, x-model-cid, retry-after, x-should-retry",
        "vary": "origin",
    }
    answer = await client.request(method, path, content=body, headers={"origin": PAGE, **headers})
    assert (answer.status_code, told(answer)) == (status, expected)
    desk.origins = ("https://other.example", "*")
    answer = await client.request(method, path, content=body, headers={"origin": PAGE, **headers})
    del expected["vary"]
    assert (answer.status_code, told(answer)) == (status, expected | {"access-control-allow-origin": "*"})


async def test_every_page(desk: Desk, client: httpx.AsyncClient) -> None:
    desk.origins = ("*",)
    for origin in (PAGE, "null", "https://evil.example"):
        answer = await preflight(client, "/echo", origin)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")


async def test_without_an_origin_it_is_no_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert (answer.status_code, told(answer)) == (200, {"vary": "origin"})
    assert (await client.options("/health", headers={"access-control-request-method": "GET"})).status_code == 405


async def test_preflights_are_counted_under_their_path(desk: Desk, client: httpx.AsyncClient) -> None:
    await preflight(client, "/models/a")
    await preflight(client, "/nowhere", "https://evil.example")
    assert desk.recorder.answers == [("/models/{id}", 204), ("other", 403)]


async def test_origins_that_change(desk: Desk, client: httpx.AsyncClient) -> None:
    assert (await preflight(client, "/echo", "https://new.example")).status_code == 403
    desk.origins = ("https://new.example",)
    assert (await preflight(client, "/echo", "https://new.example")).status_code == 204


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "https://app.example", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "https://a_b.example"),
        *("chrome-extension://abcdefghijklmnop", "capacitor://localhost", "https://xn--bcher-kva.example", "https://h:65535"),
    ],
)
def test_an_origin(origin: str) -> None:
    assert problem_of_origin(origin) == ""


WRONG = [
    *("", "app.example", "https://", "https://app.example/", "https://app.example/path", "HTTPS://app.example"),
    *("https://App.example", "https://*.example", "null", "**", "https://a b", "https://user@host", "https://bücher.example"),
    *("https://a:", "https://a\n", "https://" + "a" * 281),
]


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        *((wrong, "is no origin") for wrong in WRONG),
        ("https://app.example:443", "leave :443 out"),
        ("http://app.example:80", "leave :80 out"),
    ],
)
def test_no_origin(origin: str, words: str) -> None:
    assert words in problem_of_origin(origin)
