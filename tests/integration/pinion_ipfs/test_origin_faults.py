"""Everything an origin can do wrong, ordered from the mirror: each has its name, and what may pass by itself is tried again."""

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from pinion_ipfs.errors import (
    ContentError,
    DigestMismatch,
    DownloadFailed,
    DownloadStalled,
    InsufficientStorage,
    NoAnswer,
    OriginRateLimited,
    OriginUnreachable,
    SourceNotFound,
    StorageFilled,
    TokenRefused,
    Unauthorized,
)
from pinion_ipfs.fetching.fetcher import FetchRequest
from pinion_ipfs.hub.revisions import RepoId, list_files, resolve_commit
from pinion_ipfs.net.addresses import NOT_LOCAL
from pinion_ipfs.net.token_hosts import TokenHosts
from pinion_ipfs.origin import OriginJob, OriginProcess
from pinion_ipfs.origin.parent import child_environment
from pinion_ipfs.store import Store
from tests.support.fetching import make_fetching, make_request, origin_children, run_origin
from tests.support.hub import Hub
from tests.support.serve import eventually
from tests.support.volumes import small_volume

MIB = 1024 * 1024
WEIGHTS = "model.safetensors"
NO_ENTRY = {"X-Error-Code": "EntryNotFound"}


def make_repo(hub: Hub, repo: str, size: int = MIB) -> bytes:
    data = os.urandom(size)
    hub.add_repo(repo, {"config.json": b"{}", WEIGHTS: data})
    return data


@pytest.mark.parametrize(
    ("name", "fault", "kind", "says", "retryable"),
    [
        ("rate", {"kind": "status", "status": 429, "set": {"Retry-After": "7"}}, OriginRateLimited, "HTTP 429", True),
        ("rate-bare", {"kind": "status", "status": 429}, OriginRateLimited, "HTTP 429", True),
        ("broken", {"kind": "status", "status": 503}, OriginUnreachable, "HTTP 503", True),
        ("reset", {"kind": "reset"}, OriginUnreachable, "the connection was broken off", True),
        ("cut", {"kind": "cut", "at": 0}, DownloadFailed, f"ended early.*the file has {MIB} bytes", True),
        ("short", {"kind": "short", "at": 0.9}, DownloadFailed, f"the body has {int(MIB * 0.9)} of {MIB} bytes", True),
        ("flip", {"kind": "flip"}, DigestMismatch, "sha256 is .* the hub announced", False),
        (
            "gone",
            {"kind": "status", "status": 404, "set": {"X-Error-Code": "EntryNotFound"}},
            SourceNotFound,
            "no such file",
            False,
        ),
        ("forbidden", {"kind": "status", "status": 403}, Unauthorized, "HTTP 403", False),
    ],
)
async def test_each_fault_has_its_name(
    hub: Hub, tmp_path: Path, name: str, fault: dict[str, Any], kind: type[ContentError], says: str, retryable: bool
) -> None:
    repo = f"faults/{name}"
    make_repo(hub, repo)
    on = f"* {WEIGHTS}" if fault["kind"] in ("status", "headers") else f"GET {WEIGHTS}"
    hub.order(repo, fault | {"on": on})
    run = await run_origin(hub, repo, tmp_path / "hf", attempts=2 if kind is DigestMismatch else 1)
    assert isinstance(run.error, kind), run.error
    assert run.error.retryable is retryable
    assert WEIGHTS in str(run.error)
    with pytest.raises(kind, match=says):
        raise run.error
    if isinstance(run.error, OriginRateLimited):
        assert run.error.retry_after == (7 if "set" in fault else None)
    if isinstance(run.error, DigestMismatch):
        assert (run.error.path, run.error.source) == (WEIGHTS, hub.endpoint)
        assert [(wrong["path"], wrong["source"]) for wrong in run.told("wrong")] == [(WEIGHTS, hub.endpoint)] * 2
    # The other file came, and of the spoilt one nothing is left.
    if retryable:
        assert [event["path"] for event in run.told("file")] in (["config.json"], [])
    assert not list(run.store.cache_dir.rglob(f"*{WEIGHTS}"))
    await eventually(lambda: not origin_children(), what="the child goes")


async def test_what_passes_by_itself_is_tried_again_and_whole_files_are_not(hub: Hub, tmp_path: Path) -> None:
    data = make_repo(hub, "faults/passing", 2 * MIB)
    get = f"GET {WEIGHTS}"
    hub.order(
        "faults/passing",
        {"kind": "reset", "on": get, "times": 1},
        {"kind": "flip", "on": get, "times": 1, "at": 0.7},
        {"kind": "cut", "on": get, "times": 5, "at": 0.9},
        {"kind": "status", "status": 502, "on": get, "times": 1},
    )
    run = await run_origin(hub, "faults/passing", tmp_path / "hf", attempts=5)
    assert run.error is None
    assert sorted(event["path"] for event in run.told("file")) == ["config.json", WEIGHTS]
    (blob,) = [path for path in run.store.cache_dir.glob("*/blobs/*") if path.stat().st_size == len(data)]
    assert blob.read_bytes() == data
    assert hub.repo_stats("faults/passing")["gets_by_path"]["config.json"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "headers", "set": {"Content-Length": "0"}},
        {"kind": "headers", "set": {"X-Linked-Size": "0"}},
        {"kind": "headers", "set": {"ETag": '"../../x"', "X-Linked-Etag": '"../../x"'}},
        {"kind": "headers", "omit": ["X-Repo-Commit"]},
        {"kind": "headers", "omit": ["ETag", "X-Linked-Etag"]},
        {"kind": "status", "status": 405},
    ],
)
async def test_sizes_come_from_the_tree_and_not_from_a_head(hub: Hub, tmp_path: Path, fault: dict[str, Any]) -> None:
    repo = f"faults/head-{'-'.join(str(value) for value in fault.values()).encode().hex()[-40:]}"
    hub.add_repo(repo, {"vocab.txt": os.urandom(5000), WEIGHTS: os.urandom(5000)})
    hub.order(repo, fault | {"on": "HEAD *"})
    run = await run_origin(hub, repo, tmp_path / "hf")
    assert run.error is None
    assert len(run.told("file")) == 2


async def test_a_stream_that_goes_silent_is_left_after_the_stall_timeout(hub: Hub, tmp_path: Path) -> None:
    make_repo(hub, "faults/stall", 2 * MIB)
    hub.order("faults/stall", {"kind": "stall", "on": f"GET {WEIGHTS}", "at": 0.5})
    started = time.monotonic()
    run = await run_origin(hub, "faults/stall", tmp_path / "hf", stall_seconds=20)
    assert isinstance(run.error, DownloadStalled)
    assert "no byte for 20 s" in str(run.error)
    assert 20 <= time.monotonic() - started < 200
    await eventually(lambda: not origin_children(), what="the child goes")
    hub.order("faults/stall")
    assert (await run_origin(hub, "faults/stall", tmp_path / "hf")).error is None
    assert hub.repo_stats("faults/stall")["gets_by_path"] == {"config.json": 1, WEIGHTS: 2}


async def test_one_silent_stream_beside_living_ones_is_left_too(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("faults/one-silent", {"a.safetensors": os.urandom(22 * MIB), WEIGHTS: os.urandom(7 * MIB)})
    hub.order("faults/one-silent", {"kind": "stall", "on": f"GET {WEIGHTS}", "at": 0.1}, rate=1_000_000)
    run = await run_origin(hub, "faults/one-silent", tmp_path / "hf", stall_seconds=20)
    assert isinstance(run.error, DownloadStalled)
    assert WEIGHTS in str(run.error)
    assert [event["path"] for event in run.told("file")] == ["a.safetensors"]  # it was let come to its end


async def test_too_many_requests_stop_new_files_and_let_the_others_end(hub: Hub, tmp_path: Path) -> None:
    files = {f"part-{number}.safetensors": os.urandom(20_000) for number in range(20)}
    hub.add_repo("faults/limit", files | {WEIGHTS: os.urandom(2 * MIB)})
    hub.order(
        "faults/limit",
        {"kind": "status", "status": 429, "set": {"Retry-After": "3"}, "on": "* part-*"},
        rate=1_000_000,
    )
    run = await run_origin(hub, "faults/limit", tmp_path / "hf")
    if hub.repo_stats("faults/limit")["file_gets"] == 0:  # it was told so before the large file had begun
        run = await run_origin(hub, "faults/limit", tmp_path / "again")
    assert isinstance(run.error, OriginRateLimited)
    assert run.error.retry_after == 3
    assert [event["path"] for event in run.told("file")] == [WEIGHTS]
    assert hub.repo_stats("faults/limit")["file_gets"] == 1


async def test_a_full_volume_is_named_with_its_numbers_and_the_fetch_goes_on_when_there_is_room(
    hub: Hub, tmp_path: Path
) -> None:
    make_repo(hub, "faults/full", 6 * MIB)
    with small_volume(tmp_path / "volume", "8m") as volume:
        # Enough at the start: another writer takes it while the download runs.
        filler = volume / "filler"
        filler.write_bytes(bytes(4 * MIB))
        home = volume / "hf"
        run = await run_origin(hub, "faults/full", home)
        assert isinstance(run.error, StorageFilled), run.error
        assert (run.error.reason, run.error.retryable) == ("InsufficientStorage", True)
        assert run.error.needed_bytes == 6 * MIB
        assert run.error.available_bytes < 6 * MIB
        assert "became full on the way: needs" in str(run.error)
        assert not [path for path in run.store.cache_dir.glob("*/blobs/*") if path.stat().st_size > 2]
        filler.unlink()
        assert (await run_origin(hub, "faults/full", home)).error is None
        used = sum(path.stat().st_blocks * 512 for path in home.rglob("*") if path.is_file() and not path.is_symlink())
        assert used < 1.1 * 6 * MIB  # staging keeps no second copy
        assert not list((home / "pinion/staging").rglob("*.incomplete"))


@pytest.mark.parametrize("size", ["0", "1m"])
async def test_a_volume_without_free_space_is_refused_and_one_that_tells_no_size_is_tried(
    hub: Hub, tmp_path: Path, size: str
) -> None:
    repo = f"faults/volume-of-{size}"
    data = make_repo(hub, repo, 2 * MIB)
    with small_volume(tmp_path / "volume", size) as volume:  # a tmpfs of size 0 has no limit, and reports 0 of 0 bytes free
        if size != "0":
            filler = os.open(volume / "filler", os.O_WRONLY | os.O_CREAT)
            os.posix_fallocate(filler, 0, MIB)
            os.close(filler)
        assert shutil.disk_usage(volume).free == 0
        one = make_fetching(volume / "hf")
        request = await make_request(hub, repo)
        if size == "0":
            snapshot = await one.run(request)
            assert (snapshot.path / WEIGHTS).read_bytes() == data
        else:
            with pytest.raises(InsufficientStorage, match=r"free space: needs \d+ bytes, 0 are available"):
                await one.run(request)
            assert hub.repo_stats(repo).get("file_gets", 0) == 0
        await one.fetcher.close()  # until then no collection may have what was fetched: a lock on the volume says so


async def test_a_strangers_endpoint_on_this_machine_is_not_asked(hub: Hub, tmp_path: Path) -> None:
    make_repo(hub, "faults/local", 1000)
    gets = hub.repo_stats("faults/local").get("file_gets", 0)
    run = await run_origin(hub, "faults/local", tmp_path / "hf", policy=NOT_LOCAL)
    assert isinstance(run.error, NoAnswer)
    assert "loopback" in run.error.cause
    assert hub.repo_stats("faults/local").get("file_gets", 0) == gets


async def test_a_redirected_download_arrives_with_its_query(hub: Hub, tmp_path: Path) -> None:
    data = make_repo(hub, "faults/redirect", 1000)
    heard: list[str] = []

    async def other_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n" + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other_host, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        there = f"http://localhost:{port}/cdn/{WEIGHTS}?signature=a%2Fb&x=1"
        hub.order("faults/redirect", {"kind": "redirect", "status": 302, "location": there, "on": f"GET {WEIGHTS}"})
        run = await run_origin(hub, "faults/redirect", tmp_path / "hf", attempts=1)
    assert run.error is None
    assert f"GET /cdn/{WEIGHTS}?signature=a%2Fb&x=1 " in heard[0]


async def test_a_token_opens_the_endpoint_and_does_not_follow_a_download_to_another_host(hub: Hub, tmp_path: Path) -> None:
    repo, data = RepoId.parse("faults/token"), make_repo(hub, "faults/token", 1000)
    heard: list[str] = []

    async def other_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n" + data)
        await writer.drain()
        writer.close()

    commit = await resolve_commit(repo, "main", endpoint=hub.endpoint)
    listing, store = await list_files(repo, commit, endpoint=hub.endpoint), Store(tmp_path / "hf")

    async def fetch(token: str) -> list[str]:
        job = OriginJob(repo, commit, hub.endpoint, token, store.hf_home, store.cache_dir, listing.files, attempts=1)
        events = [event async for event in OriginProcess(job, stall_seconds=30).events()]
        return sorted(event["path"] for event in events if event["event"] == "file")

    async with await asyncio.start_server(other_host, "127.0.0.1", 0) as server:
        there = f"http://localhost:{server.sockets[0].getsockname()[1]}/cdn"
        redirect = {"kind": "redirect", "status": 302, "location": there, "on": f"GET {WEIGHTS}"}
        hub.order("faults/token", redirect, gated=True, tokens=["hf_good"])
        with pytest.raises(Unauthorized):
            await fetch("")
        assert heard == []
        assert await fetch("hf_good") == ["config.json", WEIGHTS]
    assert [("get /cdn" in head, "hf_good" in head, "authorization" in head) for head in heard] == [(True, False, False)]


@pytest.mark.parametrize("name", ["X-Xet-Refresh-Route", "Link"])
async def test_xet_does_not_carry_the_token_to_another_host(hub: Hub, tmp_path: Path, name: str) -> None:
    """A hub may say that Xet's own token is to be had elsewhere, and the library would ask there with the hub's."""
    repo, heard = RepoId.parse(f"faults/xet-{name.lower()}"), list[str]()
    make_repo(hub, str(repo), 1000)

    async def other_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    commit = await resolve_commit(repo, "main", endpoint=hub.endpoint)
    listing, store = await list_files(repo, commit, endpoint=hub.endpoint), Store(tmp_path / "hf")
    async with await asyncio.start_server(other_host, "127.0.0.1", 0) as server:
        route = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/xet-read-token"
        told = {"X-Xet-Hash": "ab" * 32, name: route if name != "Link" else f'<{route}>; rel="xet-auth"'}
        hub.order(str(repo), {"kind": "headers", "set": told, "on": f"HEAD {WEIGHTS}"}, gated=True, tokens=["hf_good"])
        job = OriginJob(repo, commit, hub.endpoint, "hf_good", store.hf_home, store.cache_dir, listing.files, attempts=1)
        events = [event async for event in OriginProcess(job, stall_seconds=30).events()]
    assert heard == []
    assert sorted(event["path"] for event in events if event["event"] == "file") == ["config.json", WEIGHTS]


async def test_a_token_is_not_sent_to_an_endpoint_that_its_secret_does_not_name(hub: Hub, tmp_path: Path) -> None:
    make_repo(hub, "faults/unnamed", 1000)
    hub.configure("faults/unnamed", gated=True, tokens=["hf_good"])
    commit = await resolve_commit(RepoId.parse("faults/unnamed"), "main", endpoint=hub.endpoint, token="hf_good")
    fetching = make_fetching(tmp_path / "hf")

    def request(text: str | None) -> FetchRequest:
        hosts = TokenHosts.of_secret(text, secret="hub", namespace="ml", default="https://huggingface.co")
        repo = RepoId.parse("faults/unnamed")
        return FetchRequest(repo, "main", commit, hub.endpoint, token="hf_good", token_hosts=hosts)

    for text in (None, "", "127.0.0.2:80"):
        with pytest.raises(TokenRefused, match="kubectl patch secret hub -n ml"):
            await fetching.fetcher.resolve(request(text))
    allowed = request(hub.endpoint.removeprefix("http://"))
    listing = await list_files(allowed.repo, commit, endpoint=hub.endpoint, token="hf_good", token_hosts=allowed.token_hosts)
    asked = hub.stats()
    with pytest.raises(TokenRefused):
        await fetching.fetcher.fetch(request(None), listing)
    assert hub.stats() == asked, "nothing is asked, with or without the token"
    assert (await fetching.run(allowed)).file_count == 2


async def test_the_whole_fetch_names_the_origin_in_its_receipt(hub: Hub, tmp_path: Path) -> None:
    make_repo(hub, "faults/receipt")
    hub.order("faults/receipt", {"kind": "status", "status": 429, "set": {"Retry-After": "2"}, "on": "* *.safetensors"})
    one = make_fetching(tmp_path / "hf")
    with pytest.raises(OriginRateLimited):
        await one.run(await make_request(hub, "faults/receipt"))
    assert one.receipts[-1].error.startswith("OriginRateLimited: ")
    # With a full store no start asks the origin for anything.
    hub.order("faults/receipt")
    snapshot = await one.run(await make_request(hub, "faults/receipt"))
    before = hub.stats()
    request = snapshot.request
    again = make_fetching(tmp_path / "hf")
    known = type(request)(
        request.repo, "main", request.commit, hub.endpoint, cid=snapshot.cid, manifest_cid=snapshot.manifest_cid
    )
    assert (await again.run(known)).cid == snapshot.cid
    assert hub.stats() == before


def test_buffers_of_the_child_are_bounded_whatever_its_user_says() -> None:
    os.environ["HF_XET_HIGH_PERFORMANCE"] = "1"
    try:
        environment = child_environment(Path("/tmp/x"), 17.0)
    finally:
        del os.environ["HF_XET_HIGH_PERFORMANCE"]
    assert "HF_XET_HIGH_PERFORMANCE" not in environment
    assert environment["HF_HUB_DOWNLOAD_TIMEOUT"] == "17"


@pytest.mark.parametrize("stall", [1, 4, 30, 120, 600])
def test_xet_gives_up_well_before_the_silence_that_ends_the_child(stall: float) -> None:
    told = child_environment(Path("/tmp/x"), stall)
    connect, read, wait = (
        int(told[f"HF_XET_CLIENT_{name}"].removesuffix("ms")) / 1000
        for name in ("CONNECT_TIMEOUT", "READ_TIMEOUT", "RETRY_BASE_DELAY")
    )
    tries = 1 + int(told["HF_XET_CLIENT_RETRY_MAX_ATTEMPTS"])
    waits = sum(wait * 2**number for number in range(tries - 1))
    assert tries * max(connect, read) + waits < 0.7 * stall


async def test_a_hub_that_takes_requests_and_says_nothing(tmp_path: Path, hub: Hub) -> None:
    make_repo(hub, "faults/silent", 1000)
    hub.order("faults/silent", {"kind": "silent", "on": f"GET {WEIGHTS}"})
    run = await run_origin(hub, "faults/silent", tmp_path / "hf", stall_seconds=3)
    assert isinstance(run.error, DownloadStalled), run.error
