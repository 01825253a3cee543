"""hub/revisions.py against the mirror: what each answer becomes."""

import asyncio
import socket

import pytest

from pinion_ipfs.errors import ContentError, OriginRateLimited, OriginUnreachable, SourceNotFound, Unauthorized
from pinion_ipfs.hub.revisions import Commit, RepoId, list_files, resolve_commit
from tests.support.hub import Hub


async def test_commit_and_files_of_all_minilm(hub: Hub) -> None:
    repo = RepoId.parse(hub.minilm)
    commit = await resolve_commit(repo, "main", endpoint=hub.endpoint + "/")
    assert await resolve_commit(repo, str(commit), endpoint=hub.endpoint) == commit
    listing = await list_files(repo, commit, endpoint=hub.endpoint)
    assert len(listing.files) == 13
    assert listing.total_bytes == 91_618_861
    chosen = await list_files(repo, commit, endpoint=hub.endpoint, allow_patterns=["*.json"], ignore_patterns=["data_*"])
    assert {file.path.rpartition(".")[2] for file in chosen.files} == {"json"}
    assert chosen.source_digest != listing.source_digest


@pytest.mark.parametrize(
    ("repo", "revision", "token", "kind", "message"),
    [
        (
            "nobody/nothing",
            "main",
            "",
            SourceNotFound,
            "nobody/nothing@main at .*: no such repository, or .* no token was sent",
        ),
        ("nobody/nothing", "main", "hf_x", SourceNotFound, "no such repository, or it is private and this token has no access"),
        ("sentence-transformers/all-MiniLM-L6-v2", "absent", "", SourceNotFound, "@absent at .*: no such revision"),
        ("pinion-tests/gated", "main", "", Unauthorized, "the repository is gated and no token was sent$"),
        ("pinion-tests/gated", "main", "hf_x", Unauthorized, "the repository is gated and this token has no access to it$"),
    ],
)
async def test_final_errors_are_named(
    hub: Hub, repo: str, revision: str, token: str, kind: type[ContentError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        await resolve_commit(RepoId.parse(repo), revision, endpoint=hub.endpoint, token=token)
    assert not caught.value.retryable
    assert "\n" not in str(caught.value)


async def test_a_gated_repository_opens_for_its_token(hub: Hub) -> None:
    repo = RepoId.parse(hub.gated)
    commit = await resolve_commit(repo, "main", endpoint=hub.endpoint, token=hub.gated_token)
    assert (await list_files(repo, commit, endpoint=hub.endpoint, token=hub.gated_token)).files
    with pytest.raises(Unauthorized):
        await list_files(repo, commit, endpoint=hub.endpoint, token="hf_wrong")


async def test_too_many_requests_and_a_broken_hub_can_be_retried(hub: Hub) -> None:
    hub.add_repo("busy/hub", {"f": b"1"})
    hub.configure("busy/hub", status=429, retry_after=7)
    with pytest.raises(OriginRateLimited) as caught:
        await resolve_commit(RepoId.parse("busy/hub"), "main", endpoint=hub.endpoint)
    assert caught.value.retry_after == 7
    assert caught.value.retryable
    hub.configure("busy/hub", status=503)
    with pytest.raises(OriginUnreachable, match="HTTP 503") as unreachable:
        await resolve_commit(RepoId.parse("busy/hub"), "main", endpoint=hub.endpoint)
    assert unreachable.value.retryable


async def test_nobody_there_and_nobody_answering() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(OriginUnreachable):
            await resolve_commit(RepoId.parse("a/b"), "main", endpoint=endpoint, timeout=5)
        deaf.listen()
        started = asyncio.get_running_loop().time()
        with pytest.raises(OriginUnreachable, match="no answer in time"):
            await resolve_commit(RepoId.parse("a/b"), "main", endpoint=endpoint, timeout=0.5)
        assert asyncio.get_running_loop().time() - started < 15  # 20 s are waited when nobody says how long


async def test_a_server_that_is_no_hub_is_not_believed(hub: Hub) -> None:
    with pytest.raises(ContentError) as caught:
        await resolve_commit(RepoId.parse("a/b"), "main", endpoint=f"{hub.endpoint}/-/health")
    assert caught.value.reason in {"SourceNotFound", "OriginUnreachable"}
    with pytest.raises(SourceNotFound):
        await list_files(RepoId.parse(hub.minilm), Commit.parse("0" * 40), endpoint=hub.endpoint)
