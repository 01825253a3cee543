"""A model that is whole in the cache is served while the hub is silent, or is not to be asked."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from pinion_contract import metric_names as names
from pinion_contract.config import HuggingFaceSource
from pinion_contract.status import FailureReason, Phase
from pinion_ipfs.errors import OriginUnreachable, SourceNotFound
from pinion_ipfs.fetching.fetcher import Snapshot
from pinion_ipfs.hub.identity import RepoId
from pinion_ipfs.store import Store
from pinion_runtime.bringup.silent_hub import find_revision
from tests.support.decoders import make_decoder
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.models import TinyModels
from tests.support.processes import engine_of
from tests.support.serve import READY_SECONDS, Serve, make_config, make_live, wait_until

NOBODY = "http://127.0.0.1:9"
REPO = "tiny/silent-hub"


@pytest.fixture
async def fetched(hub: Hub, tiny_models: TinyModels, tmp_path: Path) -> Snapshot:
    """Return what a first good start left in `tmp_path`/hf: the whole repository, with a copy of a file in it."""
    tiny_models.copy(hub.root / REPO, seed=31)
    copy = hub.root / REPO / "onnx/tokenizer.json"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes((hub.root / REPO / "tokenizer.json").read_bytes())
    snapshot_download(REPO, endpoint=hub.endpoint, cache_dir=tmp_path / "hf/hub", token=False)
    return await make_fetching(tmp_path / "hf").run(await make_request(hub, REPO))


@pytest.mark.model
async def test_what_is_whole_in_the_cache_is_served(fetched: Snapshot, hub: Hub, serve: Serve, tmp_path: Path) -> None:
    cache, commit = tmp_path / "hf", str(fetched.commit)
    asked = hub.repo_stats(REPO)["api_requests"]
    offline = Serve(hub, tmp_path / "offline", cache, prefix=("env", "HF_HUB_OFFLINE=1"))
    offline.folder.mkdir()
    source = HuggingFaceSource(repo=REPO, commit=commit, endpoint=NOBODY, allow_local_addresses=True)
    try:
        branch = serve.flags(REPO, "--endpoint", NOBODY, "--revision", "main", cache=cache)
        variable = offline.flags(REPO, "--served-name", "x")
        pod = serve.config(make_config(hub, REPO, commit, source=source), make_live(), cache=cache)
        for served, said in ((branch, f"main is {commit}: only the cache does"), (variable, f"main is {commit}"), (pod, "")):
            model = served.wait_ready().model
            assert model.opened_cid == str(fetched.cid)
            assert said in model.unconfirmed
            assert bool(said) is bool(model.unconfirmed)
    finally:
        offline.stop_all()
    assert hub.repo_stats(REPO)["api_requests"] == asked


async def test_a_commit_that_is_whole_in_the_cache_is_beyond_doubt(fetched: Snapshot, tmp_path: Path) -> None:
    store, commit = Store(tmp_path / "hf"), str(fetched.commit)
    for offline in (False, True):
        found = await find_revision(store, fetched.repo, commit, endpoint=NOBODY, token="", offline=offline)
        assert found == (fetched.commit, "")


async def test_what_is_not_whole_waits_for_a_silent_hub_and_fails_offline(
    fetched: Snapshot, serve: Serve, tmp_path: Path
) -> None:
    store, repo = Store(tmp_path / "hf"), RepoId.parse(REPO)
    (fetched.path / "model.safetensors").resolve().unlink()
    with pytest.raises(OriginUnreachable, match=r"nor is it whole in the cache: .* missing: model\.safetensors"):
        await find_revision(store, repo, "main", endpoint=NOBODY, token="", offline=False)
    with pytest.raises(SourceNotFound, match=r"missing: model\.safetensors"):
        await find_revision(store, repo, "main", endpoint=NOBODY, token="", offline=True)
    with pytest.raises(SourceNotFound, match="nothing says which commit 'v2' is"):
        await find_revision(store, repo, "v2", endpoint=NOBODY, token="", offline=True)
    served = serve.flags(REPO, "--endpoint", NOBODY, cache=tmp_path / "hf")
    status = served.wait_failure(FailureReason.ORIGIN_UNREACHABLE)
    assert status.phase is Phase.RESOLVING
    assert status.failure is not None
    assert status.failure.retrying
    assert "missing: model.safetensors" in status.failure.message


async def test_a_record_of_another_commit_or_selection_is_none_of_this_one(fetched: Snapshot, tmp_path: Path) -> None:
    one = make_fetching(tmp_path / "hf")
    request = replace(fetched.request, offline=True, endpoint=NOBODY)
    assert (await one.fetcher.resolve(request)).source_digest
    with pytest.raises(SourceNotFound, match="not the files that were asked for"):
        await one.fetcher.resolve(replace(request, source_digest="0" * 64))
    few = await one.fetcher.resolve(replace(request, allow_patterns=("*.json",)))
    assert {file.path.rpartition(".")[2] for file in few.files} == {"json"}


@pytest.mark.model
def test_what_was_left_out_is_not_seen_in_a_cache_that_has_it(hub: Hub, serve: Serve, tmp_path: Path) -> None:
    """Others fill the same cache, with the whole repository: what the CID does not cover must not count."""
    repo, cache = "tiny/more-than-chosen", tmp_path / "hf"
    folder = make_decoder(hub.root / repo)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "{{ messages[0].content }}"}))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    snapshot = Path(snapshot_download(repo, endpoint=hub.endpoint, cache_dir=cache / "hub", token=False))
    served = serve.flags(repo, "--ignore", "adapter_*", "--ignore", "chat_template.json", cache=cache)
    status = served.wait_ready()
    assert (status.model.chat, status.model.opened_cid) == (False, status.model.cid)
    asked = {"model": repo, "messages": [{"role": "user", "content": "kettle"}]}
    assert served.post(asked, path="/v1/chat/completions").status_code == 400
    os.kill(engine_of(served), signal.SIGKILL)
    wait_until(lambda: served.metric(names.ENGINE_RESTARTS_TOTAL) == 1, READY_SECONDS, "another engine")
    assert served.wait_ready().model.opened_cid == status.model.cid
    assert (snapshot / "adapter_config.json").exists(), "the cache is as it was"
    views = [path for path in Path("/tmp").glob("pinion-*") if (path / "tokenizer.json").resolve().is_relative_to(cache)]
    assert len(views) == 1
    served.terminate()
    assert served.wait_ended() == 0
    assert not views[0].exists()
