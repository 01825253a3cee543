"""ENABLE_IPFS_MODEL_CACHE: a model whose CID the records know comes by it from where it is kept, and not from the hub again."""

import shutil
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from pinion_contract.config import CacheBackend, HuggingFaceSource
from pinion_ipfs.fetching.fetcher import Snapshot
from pinion_runtime.bringup.content import Content
from pinion_runtime.command_line import parse_settings
from pinion_runtime.pod.lifecycle import Lifecycle
from pinion_runtime.pod.metrics import Metrics
from pinion_runtime.pod.state import Pod
from tests.support.hub import Hub
from tests.support.serve import commit_of, make_config, make_live

REPO = "cached/one"
WEIGHTS = b"weights" * 300_000
FILES = {"config.json": b'{"model_type": "bert"}', "model.safetensors": WEIGHTS, "tokenizer.json": b"{}"}


async def load(hub: Hub, home: Path, shared: Path, variables: dict[str, str]) -> Snapshot:
    """Do what the loader does, in an environment with these variables."""
    config = make_config(hub, REPO, commit_of(hub, REPO), backends=(CacheBackend(name="shared", path=str(shared)),))
    settings = parse_settings(["--config", "c", "--live", "l", "--cache-dir", str(home)], variables)
    assert isinstance(config.source, HuggingFaceSource)
    content, live = Content(config, config.source, settings, Pod(Lifecycle(), Metrics())), make_live()
    try:
        snapshot = await content.verify(await content.fetch(live, await content.resolve(live)))
        await content.pin(snapshot)
    finally:
        await content.close()
    return snapshot


def bytes_of(hub: Hub) -> int:
    return int(hub.repo_stats(REPO).get("bytes", 0))


async def test_what_was_lost_comes_by_its_cid_where_it_is_on_and_from_the_hub_where_it_is_not(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo(REPO, FILES)
    home, shared = tmp_path / "hf", tmp_path / "shared"
    first = await load(hub, home, shared, {"ENABLE_IPFS_MODEL_CACHE": "1"})
    (model,) = ipfs.ModelManager(home).list()
    assert (model.cid, model.repo, model.backends) == (str(first.cid), REPO, ("shared",)), "what it fetched is stored"
    for value, from_the_hub in {"on": False, "": True, "no": True, "true": False}.items():
        shutil.rmtree(home / "hub")
        before = bytes_of(hub)
        assert (await load(hub, home, shared, {"ENABLE_IPFS_MODEL_CACHE": value})).cid == first.cid
        assert (bytes_of(hub) - before >= len(WEIGHTS)) is from_the_hub, value


def test_another_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_settings(["--config", "c", "--live", "l"], {"ENABLE_IPFS_MODEL_CACHE": "sometimes"})
    assert "ENABLE_IPFS_MODEL_CACHE: one of 1, true, yes, on" in capsys.readouterr().err
