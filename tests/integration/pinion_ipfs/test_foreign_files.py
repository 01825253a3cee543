"""Files of a snapshot that another program had brought before ours came: a collection leaves them until it is asked."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

from pinion_ipfs.store import Store
from pinion_ipfs.store.collection import Collection, collect
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub

FILES = {"config.json": b"{}", "model.safetensors": os.urandom(10_000)}


def now(store: Store, *, foreign: bool = False) -> Collection:
    return collect(store, idle_seconds=0.0, foreign=foreign)


async def fetch(hub: Hub, home: Path, repo: str, *allow: str) -> str:
    """Fetch as `pinion-ipfs fetch` does; return the revision's name."""
    one = make_fetching(home)
    snapshot = await one.run(replace(await make_request(hub, repo), allow_patterns=allow))
    await one.fetcher.close()
    return f"{repo}@{snapshot.commit}"


def files_of(store: Store) -> dict[str, bytes]:
    info = scan_cache_dir(store.cache_dir)
    assert not info.warnings
    files = (file for repo in info.repos for revision in repo.revisions for file in revision.files)
    return {file.file_name: file.file_path.read_bytes() for file in files}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


async def test_a_model_that_was_downloaded_before_stays(hub: Hub, tmp_path: Path, store: Store) -> None:
    hub.add_repo("org/before", FILES)
    snapshot_download("org/before", endpoint=hub.endpoint, cache_dir=store.cache_dir)
    name = await fetch(hub, tmp_path, "org/before")
    done = now(store)
    assert (done.removed, done.used) == ((), 0)
    assert files_of(store) == FILES
    assert now(store, foreign=True).removed == (name,)
    assert files_of(store) == {}
    assert not [path for path in (store.side / "foreign").rglob("*") if path.is_file()]
    await fetch(hub, tmp_path, "org/before")
    assert now(store).removed == (name,)


async def test_of_a_model_of_which_one_file_was_there_the_others_go(hub: Hub, tmp_path: Path, store: Store) -> None:
    hub.add_repo("org/part", FILES)
    hf_hub_download("org/part", "config.json", endpoint=hub.endpoint, cache_dir=store.cache_dir)
    name = await fetch(hub, tmp_path, "org/part")
    assert now(store).removed == (name,)
    assert files_of(store) == {"config.json": FILES["config.json"]}


async def test_what_was_downloaded_between_two_fetches_stays(hub: Hub, tmp_path: Path, store: Store) -> None:
    hub.add_repo("org/between", FILES)
    await fetch(hub, tmp_path, "org/between", "config.json")
    snapshot_download("org/between", endpoint=hub.endpoint, cache_dir=store.cache_dir)
    name = await fetch(hub, tmp_path, "org/between")
    assert now(store).removed == (name,)
    assert files_of(store) == {"model.safetensors": FILES["model.safetensors"]}


async def test_what_was_deleted_and_fetched_again_is_ours(hub: Hub, tmp_path: Path, store: Store) -> None:
    hub.add_repo("org/deleted", FILES)
    snapshot_download("org/deleted", endpoint=hub.endpoint, cache_dir=store.cache_dir)
    name = await fetch(hub, tmp_path, "org/deleted")
    scan_cache_dir(store.cache_dir).delete_revisions(name.partition("@")[2]).execute()
    await fetch(hub, tmp_path, "org/deleted")
    assert now(store).removed == (name,)
    assert files_of(store) == {}
