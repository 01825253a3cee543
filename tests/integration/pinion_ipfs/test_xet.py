"""Xet promised by what has none: a mirror passes on the hub's headers, and the file comes as any other."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pinion_ipfs.hub.revisions import RepoId, list_files, resolve_commit
from pinion_ipfs.origin import OriginJob, OriginProcess
from pinion_ipfs.store import Store
from tests.support.environment import environment
from tests.support.hub import Hub
from tests.support.repository_manager import PREFIX, After, Answer, Asked, Before, Manager, manager_of

REPO = "xet/promised"
FILES = {"config.json": b"{}", "a.safetensors": os.urandom(3000), "b.safetensors": os.urandom(3000)}


@pytest.fixture(scope="module")
def model(hub: Hub) -> Hub:
    hub.add_repo(REPO, FILES)
    return hub


@pytest.fixture
def deaf() -> Iterator[str]:
    """Yield the address of somebody who takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def promising(route: str) -> After:
    """Return what adds the headers of Xet to the answers for files."""

    def change(asked: Asked, answer: Answer) -> Answer:
        if asked.route != "file":
            return answer
        target = f"{route}/api/models/{REPO}/xet-read-token/{asked.path.split('/')[4]}".format(base=asked.base)
        link = f'<{target}>; rel="xet-auth", <{target}/x>; rel="xet-reconstruction-info"'
        return replace(answer, headers=answer.headers | {"X-Xet-Hash": "ab" * 32, "Link": link})

    return change


def token_route(status: int, **headers: str) -> Before:
    """Return what answers the question for Xet's own token."""
    told = {"X-" + name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked: Answer(status, told, b"<html>") if asked.route == "xet" else asked


def storage(url: str) -> Before:
    """Return what gives a token for Xet's storage at a URL."""
    return token_route(200, Xet_Cas_Url=url, Xet_Access_Token="t", Xet_Token_Expiration="4102444800")


async def fetch(manager: Manager, home: Path, *, stall_seconds: float = 30.0) -> tuple[Store, list[str]]:
    """Run the download child on the repository; return its store and the files that came."""
    repo, store = RepoId.parse(REPO), Store(home)
    commit = await resolve_commit(repo, "main", endpoint=manager.endpoint)
    listing = await list_files(repo, commit, endpoint=manager.endpoint)
    job = OriginJob(repo, commit, manager.endpoint, "", store.hf_home, store.cache_dir, listing.files, attempts=1, workers=1)
    events = [event async for event in OriginProcess(job, stall_seconds=stall_seconds).events()]
    return store, sorted(event["path"] for event in events if event["event"] == "file")


BELOW = "{base}" + PREFIX
HOME = "https://huggingface.co"
# where Xet's own token is said to be, and what answers there
PROMISES: dict[str, tuple[str, Sequence[Before]]] = {
    "no such route": (HOME, ()),
    "a route that refuses": (BELOW, (token_route(403),)),
    "a broken route": (BELOW, (token_route(502),)),
    "a page instead of a token": (BELOW, (token_route(200),)),
    "storage that nobody reaches": (BELOW, (storage("http://127.0.0.1:9"),)),
}


@pytest.mark.parametrize("name", PROMISES)
async def test_a_promise_of_xet_that_is_not_kept_costs_one_try(
    model: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    route, before = PROMISES[name]
    async with manager_of(model.endpoint, before=before, after=[promising(route)]) as manager:
        _, came = await fetch(manager, tmp_path)
    assert came == sorted(FILES)
    (notice,) = [record.getMessage() for record in caplog.records if "Xet" in record.getMessage()]
    assert f"{REPO}/" in notice
    assert manager.endpoint in notice
    assert manager.count("HEAD", "file") == 1, "after the first failure nobody asks for Xet any more"


async def test_storage_that_says_nothing_does_not_end_in_a_stall(model: Hub, tmp_path: Path, deaf: str) -> None:
    started = time.monotonic()
    async with manager_of(model.endpoint, before=[storage(deaf)], after=[promising(BELOW)]) as manager:
        _, came = await fetch(manager, tmp_path, stall_seconds=40)
    assert came == sorted(FILES)
    assert time.monotonic() - started < 90


@pytest.mark.parametrize(
    ("arguments", "variable", "asked"),
    [(("--xet", "auto"), "1", True), (("--xet", "never"), None, False), ((), "1", False)],
)
async def test_a_command_is_told_to_do_without(
    model: Hub, tmp_path: Path, arguments: Sequence[str], variable: str | None, asked: bool
) -> None:
    async with manager_of(model.endpoint, after=[promising(HOME)]) as manager:
        with environment(HF_HUB_DISABLE_XET=variable, HF_HOME=str(tmp_path), HF_ENDPOINT=None, HF_HUB_CACHE=None):
            command = (sys.executable, "-m", "pinion_ipfs", "fetch", REPO, "--endpoint", manager.endpoint, *arguments)
            process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
            _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
    assert (manager.count("GET", "xet") > 0) is asked
    assert (manager.count("HEAD", "file") > 0) is asked
    assert manager.count("GET", "file") == len(FILES), "each file is asked for once"
