"""The JDK's client offers HTTP/2 with each request it makes, unless told otherwise: as it is, on all three ports."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pinion_ipfs.net.sockets import listen
from pinion_ipfs.peers.answers import Shared
from pinion_ipfs.peers.server import ContentServer, Token
from tests.support.serve import Served

pytestmark = [
    pytest.mark.model,
    pytest.mark.needs_program("java"),
]
SOURCE = Path(__file__).parents[2] / "support" / "java" / "Ask.java"
JAVA_SECONDS = 120.0


@pytest.fixture
def token(tmp_path: Path) -> Token:
    (tmp_path / "token").write_text("secret\n")
    return Token(tmp_path / "token")


@pytest.fixture
async def content_port(token: Token) -> AsyncIterator[str]:
    """Yield the URL of a content port that shares nothing."""
    server = ContentServer(Shared("one"), token)
    with listen("127.0.0.1", 0) as listener:
        await server.start(listener)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.close()


async def test_the_client_of_the_jdk(minilm_served: Served, content_port: str) -> None:
    embeddings, livez = f"{minilm_served.base}/v1/embeddings", f"{minilm_served.management}/livez"
    body = json.dumps({"model": minilm_served.model, "input": "hello"})
    requests = [
        *((way, embeddings, body, "200", '"total_tokens":3') for way in ("post", "chunked", "expect", "post")),
        ("post", embeddings, "{", "400", "invalid_json"),
        ("get", embeddings, "", "405", "method_not_allowed"),
        ("post", f"{minilm_served.base}/nowhere", body, "404", "not_found"),
        ("get", livez, "", "200", '{"status":"alive"}'),
        ("post", livez, body, "405", "method_not_allowed"),
        ("get", f"{content_port}/v1/revisions/x", "", "401", "a bearer token"),
        ("post", f"{content_port}/v1/revisions/x", body, "400", "a body, where none is taken"),
        ("get", f"{content_port}/v1/revisions/x", "", "401", "a bearer token"),
    ]
    arguments = [part for request in requests for part in request[:3]]
    pipe = asyncio.subprocess.PIPE
    java = await asyncio.create_subprocess_exec("java", str(SOURCE), *arguments, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(JAVA_SECONDS):
        printed, complaints = await java.communicate()
    assert java.returncode == 0, complaints.decode()
    answers = printed.decode().splitlines()
    for answer, request in zip(answers, [*requests, *requests], strict=True):  # one after the other, then all at once
        assert answer.startswith(request[3]), (answer, request)
        assert request[4] in answer, (answer, request)
