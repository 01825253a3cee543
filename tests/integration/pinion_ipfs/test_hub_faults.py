"""Hubs that refuse, redirect, lie or are none, and what is said of each; access asked for without any download."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pinion_ipfs.errors import (
    ContentError,
    InvalidRepository,
    NoAnswer,
    OriginRateLimited,
    OriginUnreachable,
    SourceNotFound,
    Unauthorized,
    UnsupportedDag,
)
from pinion_ipfs.hub.revisions import Commit, RepoId, auth_check, list_files, resolve_commit
from pinion_ipfs.net.addresses import NOT_LOCAL
from tests.support.hub import Hub

COMMIT = "c" * 40
OID = "0" * 40


@asynccontextmanager
async def hub_of(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Yield the address of a server with one handler for everything."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def listing_of(answer: Any, *, raw: bytes | None = None) -> None:
    """Ask a hub that gives one answer for the files of a commit."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=json.dumps(answer).encode() if raw is None else raw)

    async with hub_of(handle) as endpoint:
        await list_files(RepoId.parse("a/b"), Commit.parse(COMMIT), endpoint=endpoint, timeout=10)


async def test_gated_missing_forbidden_and_expired_are_told_apart(hub: Hub) -> None:
    hub.add_repo("access/gated", {"f": b"1"})
    hub.add_repo("access/public", {"f": b"1"})
    hub.configure("access/gated", gated=True, tokens=["hf_good"], refused_tokens=["hf_expired"])
    hub.configure("access/public", refused_tokens=["hf_expired"])

    async def ask(repo: str, token: str) -> None:
        await resolve_commit(RepoId.parse(repo), "main", endpoint=hub.endpoint, token=token)

    await ask("access/gated", "hf_good")
    await ask("access/public", "hf_anything")
    for repo, token, kind, says in (
        ("access/gated", "", Unauthorized, "gated"),
        ("access/gated", "hf_other", Unauthorized, "gated"),
        ("access/nothing", "", SourceNotFound, "no such repository, or it is private"),
        ("access/nothing", "hf_good", SourceNotFound, "no such repository, or it is private"),
        ("access/public", "hf_expired", Unauthorized, "the token is expired or revoked: without it the repository opens"),
        ("access/gated", "hf_expired", Unauthorized, "the token is missing, expired or has no access"),
    ):
        with pytest.raises(kind, match=says) as caught:
            await ask(repo, token)
        assert not caught.value.retryable
        assert "hf_" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "GatedRepo", Unauthorized),
        (401, "RepoNotFound", SourceNotFound),
        (401, "", Unauthorized),
        (403, "", Unauthorized),
        (404, "RevisionNotFound", SourceNotFound),
        (410, "", SourceNotFound),
        (429, "", OriginRateLimited),
        (500, "", OriginUnreachable),
        (599, "", OriginUnreachable),
    ],
)
async def test_every_status_has_a_name_and_is_asked_once(hub: Hub, status: int, code: str, kind: type[ContentError]) -> None:
    repo = f"status/s{status}{code.lower()}"
    hub.add_repo(repo, {"f": b"1"})
    hub.order(repo, {"kind": "status", "status": status, "set": {"X-Error-Code": code} if code else {}})
    with pytest.raises(kind):
        await resolve_commit(RepoId.parse(repo), "main", endpoint=hub.endpoint)
    assert hub.repo_stats(repo)["api_requests"] == 1


async def test_access_is_checked_without_a_download(hub: Hub) -> None:
    hub.add_repo("check/gated", {"f": os.urandom(100)})
    hub.configure("check/gated", gated=True, tokens=["hf_one"])
    repo = RepoId.parse("check/gated")
    await auth_check(repo, endpoint=hub.endpoint, token="hf_one", timeout=10)
    for token in ("", "hf_two"):
        with pytest.raises(Unauthorized):
            await auth_check(repo, endpoint=hub.endpoint, token=token, timeout=10)
    with pytest.raises(SourceNotFound):
        await auth_check(RepoId.parse("check/nothing"), endpoint=hub.endpoint, token="hf_one", timeout=10)
    assert hub.repo_stats("check/gated")["file_gets"] == 0


@pytest.mark.parametrize("asked", ["refs/pr/1", "feature/a b", "v1.0", "refs/heads/main", "0123abc", "ünï"])
async def test_a_revision_is_encoded_once(hub: Hub, asked: str) -> None:
    repo = f"revision/r{asked.encode().hex()}"
    hub.add_repo(repo, {"f": b"1"})
    hub.configure(repo, branches=[asked])
    assert str(await resolve_commit(RepoId.parse(repo), asked, endpoint=hub.endpoint)) != ""


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("", "0 characters"),
        ("../main", "'..'"),
        ("a/../b", "'..'"),
        ("a..b", "'..'"),
        ("/main", "empty"),
        ("a//b", "empty"),
        ("x" * 251, "251 characters"),
        ("a\nb", "allows in no name"),
        ("a\0b", "allows in no name"),
        ("main~1", "allows in no name"),
        ("A" * 40, "lower case"),
    ],
)
async def test_what_is_no_revision_is_refused_in_words_and_nobody_is_asked(asked: str, says: str) -> None:
    with pytest.raises(InvalidRepository, match=says):
        await resolve_commit(RepoId.parse("a/b"), asked, endpoint="http://127.0.0.1:9")


async def test_redirects_stay_on_the_host_with_their_query_and_the_token_never_leaves_it() -> None:
    heard: list[tuple[str, str | None]] = []

    async def elsewhere(request: web.Request) -> web.Response:
        heard.append((request.path_qs, request.headers.get("Authorization")))
        return web.json_response({"sha": COMMIT})

    async with hub_of(elsewhere) as other:
        asked: list[str] = []

        async def renamed(request: web.Request) -> web.Response:
            asked.append(request.path_qs)
            if request.path.startswith("/api/models/a/old"):
                return web.Response(status=307, headers={"Location": "/api/models/a/new/revision/main?blobs=true&x=%2F"})
            if request.path.startswith("/api/models/a/away"):
                return web.Response(status=308, headers={"Location": other + request.path_qs})
            if request.path.startswith("/api/models/a/round"):
                return web.Response(status=302, headers={"Location": request.path_qs})
            return web.json_response({"sha": COMMIT})

        async with hub_of(renamed) as endpoint:
            await resolve_commit(RepoId.parse("a/old"), "main", endpoint=endpoint, token="hf_secret")
            assert asked == ["/api/models/a/old/revision/main?blobs=true", "/api/models/a/new/revision/main?blobs=true&x=%2F"]
            with pytest.raises(OriginUnreachable, match=r"does not speak the hub's API: HTTP 308 redirects to another host"):
                await resolve_commit(RepoId.parse("a/away"), "main", endpoint=endpoint, token="hf_secret")
            with pytest.raises(OriginUnreachable, match="redirects more than 5 times"):
                await resolve_commit(RepoId.parse("a/round"), "main", endpoint=endpoint)
    assert heard == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({}, "answers for a/b@c+ with commit 'None'"),
        ({"sha": "d" * 40}, "with commit 'd+'"),
        ({"sha": COMMIT}, "no list of files"),
        ({"sha": COMMIT, "siblings": {}}, "no list of files"),
        ({"sha": COMMIT, "siblings": [{"rfilename": "f"}]}, "no size or oid for 'f'"),
        ({"sha": COMMIT, "siblings": [{"rfilename": "f", "size": -1, "blobId": OID}]}, "no size or oid"),
        ({"sha": COMMIT, "siblings": [{"rfilename": "f", "size": 1, "blobId": "../../x"}]}, "no size or oid"),
        ({"sha": COMMIT, "siblings": [{"rfilename": "f", "size": 1, "blobId": OID, "lfs": {"sha256": "x"}}]}, "no size or oid"),
        ({"sha": COMMIT, "siblings": [7]}, "no size or oid for '7'"),
        ([], "not a JSON object"),
        ("text", "not a JSON object"),
    ],
)
async def test_an_answer_that_is_no_hubs_is_named(answer: Any, says: str) -> None:
    with pytest.raises(OriginUnreachable, match=says):
        await listing_of(answer)


@pytest.mark.parametrize("raw", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"sha":'])
async def test_an_answer_that_is_no_json_is_named(raw: bytes) -> None:
    with pytest.raises(OriginUnreachable, match="not a JSON object"):
        await listing_of(None, raw=raw)


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["../../x"], "means another directory"),
        (["/abs"], "is empty"),
        (["a/../../b"], "means another directory"),
        (["a\\b"], "holds a backslash"),
        (["."], "means another directory"),
        (["a\0b"], "holds a slash or a NUL"),
        (["x" * 300], "longer than 255 bytes"),
        (["f", "f"], "twice"),
        (["d", "d/f"], "as a file and as a folder"),
        (["d-e", "d/f", "d"], "as a file and as a folder"),
    ],
)
async def test_names_that_must_not_reach_a_disk_are_refused_before_the_first_write(paths: list[str], says: str) -> None:
    siblings = [{"rfilename": path, "size": 1, "blobId": OID} for path in ["ok", *paths]]
    with pytest.raises(UnsupportedDag, match=says) as caught:
        await listing_of({"sha": COMMIT, "siblings": siblings})
    assert "\0" not in str(caught.value)
    assert len(str(caught.value)) < 500


async def test_an_endless_answer_is_cut_off() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1024 * 1024))
        except OSError:
            return response

    async with hub_of(endless) as endpoint:
        with pytest.raises(OriginUnreachable, match="more than 33554432 bytes"):
            await resolve_commit(RepoId.parse("a/b"), "main", endpoint=endpoint, timeout=30)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "0"])
async def test_a_strangers_endpoint_does_not_reach_this_machine(hub: Hub, host: str) -> None:
    hub.add_repo("stranger/one", {"f": b"1"})
    endpoint = f"http://{host}:{hub.endpoint.rpartition(':')[2]}"
    repo = RepoId.parse("stranger/one")
    commit = await resolve_commit(repo, "main", endpoint=endpoint)
    asked = hub.repo_stats("stranger/one")["api_requests"]
    for call in (
        resolve_commit(repo, "main", endpoint=endpoint, policy=NOT_LOCAL),
        list_files(repo, commit, endpoint=endpoint, policy=NOT_LOCAL),
        auth_check(repo, endpoint=endpoint, policy=NOT_LOCAL),
    ):
        with pytest.raises(NoAnswer, match="does not answer, or leads to an address that is not asked"):
            await call
    assert hub.repo_stats("stranger/one")["api_requests"] == asked


@pytest.mark.parametrize("endpoint", ["file:///etc", "http://user:secret@10.0.0.1", "http://", "gopher://a", "http://a/?x"])
async def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ContentError) as caught:
        await resolve_commit(RepoId.parse("a/b"), "main", endpoint=endpoint, policy=NOT_LOCAL)
    assert "secret" not in str(caught.value)
