"""What can't be served: told with its reason for as long as it takes, and nothing else is served instead."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from pinion_contract.config import LiveConfig
from pinion_contract.status import FailureReason, Phase, PodStatus
from tests.support.decoders import make_decoder
from tests.support.hub import PROJECT
from tests.support.ports import free_port
from tests.support.serve import Serve, Served, commit_of, make_config, make_live

ABSENT_COMMIT = "0" * 40
OTHER_CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


def fails(served: Served, stage: Phase, reason: FailureReason) -> str:
    """Wait for the failure and check all that it means; return its message."""
    status: PodStatus = served.wait_for(Phase.FAILED, Phase.READY)
    assert status.phase is Phase.FAILED
    assert status.failure is not None
    assert (status.failure.stage, status.failure.reason, status.failure.retrying) == (stage, reason, False)
    assert (served.get("/livez").status_code, served.get("/readyz").status_code) == (200, 503)
    assert served.get("/readyz").json()["reason"] == reason.value
    refused = served.post({"model": served.model, "input": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_failed")
    assert refused.headers["x-should-retry"] == "false"
    assert "x-model-cid" not in refused.headers
    assert served.process.poll() is None
    return status.failure.message


def test_a_repository_that_does_not_exist(serve: Serve) -> None:
    served = serve.config(make_config(serve.hub, "pinion-tests/nowhere", ABSENT_COMMIT), make_live())
    assert "pinion-tests/nowhere" in fails(served, Phase.RESOLVING, FailureReason.SOURCE_NOT_FOUND)
    served.terminate()
    assert served.wait_ended() == 0


def test_a_gated_repository(serve: Serve) -> None:
    config = make_config(serve.hub, serve.hub.gated, commit_of(serve.hub, serve.hub.gated))
    served = serve.config(config, make_live())
    assert "gated" in fails(served, Phase.RESOLVING, FailureReason.UNAUTHORIZED)


def test_quantised_weights_are_not_fetched(serve: Serve) -> None:
    config = b'{"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}'
    repo = "pinion-tests/quantised"
    serve.hub.add_repo(repo, {"config.json": config, "tokenizer.json": b"{}", "model.safetensors": b"weights"})
    served = serve.config(make_config(serve.hub, repo, commit_of(serve.hub, repo)), make_live())
    message = fails(served, Phase.RESOLVING, FailureReason.UNSUPPORTED_MODEL)
    assert "the weights are quantised (gptq)" in message
    stats = serve.hub.repo_stats(repo)
    assert (stats["listing_bytes"], stats["bytes"]) == (len(config), 0)


@pytest.mark.model
def test_other_bytes_than_expected(serve: Serve) -> None:
    config = make_config(serve.hub, serve.hub.minilm, commit_of(serve.hub, serve.hub.minilm))
    live = LiveConfig(expected_cid=OTHER_CID, served_names=("m",))
    served = serve.config(config, live)
    message = fails(served, Phase.VERIFYING, FailureReason.CID_MISMATCH)
    assert OTHER_CID in message
    status = served.status()
    assert (status.model.opened_cid, status.expected_cid) == ("", OTHER_CID)
    right = message.rpartition("got ")[2].strip()
    serve.write(config, live.model_copy(update={"expected_cid": right}))
    again = served.wait_ready_after_failure()
    assert (again.model.opened_cid, again.expected_cid, again.failure) == (right, right, None)


@pytest.mark.model
def test_a_model_that_does_not_load(serve: Serve) -> None:
    served = serve.config(make_config(serve.hub, serve.hub.broken, commit_of(serve.hub, serve.hub.broken)), make_live())
    assert "safetensors" in fails(served, Phase.LOADING, FailureReason.MODEL_LOAD_FAILED)


def test_too_little_room(serve: Serve) -> None:
    commit = commit_of(serve.hub, serve.hub.minilm)
    before = serve.hub.repo_stats(serve.hub.minilm).get("file_gets", 0)
    config = make_config(serve.hub, serve.hub.minilm, commit, cache_limit_bytes=1_000_000)
    served = serve.config(config, make_live(), cache=serve.folder / "small")
    assert "1000000" in fails(served, Phase.RESOLVING, FailureReason.INSUFFICIENT_STORAGE)
    assert serve.hub.repo_stats(serve.hub.minilm).get("file_gets", 0) == before


def test_a_listing_that_is_not_the_operators(serve: Serve) -> None:
    config = make_config(serve.hub, serve.hub.minilm, commit_of(serve.hub, serve.hub.minilm))
    source = config.source.model_copy(update={"source_digest": "0" * 64})
    served = serve.config(config.model_copy(update={"source": source}), make_live())
    fails(served, Phase.RESOLVING, FailureReason.DIGEST_MISMATCH)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtype": "int8"}, "dtype"),
        ({"noSuchField": 1}, "noSuchField"),
        (
            {"source": {"repo": "a/b", "commit": "main"}},
            "source.huggingFace.commit: String should match pattern '^[0-9a-f]{40}$' (1 problems)",
        ),
        ({"source": {"folder": 5}}, "source.folder.folder: Input should be a valid string (1 problems)"),
    ],
)
def test_a_configuration_that_breaks_the_contract(serve: Serve, change: dict[str, Any], words: str) -> None:
    serve.write(make_config(serve.hub, "a/b", ABSENT_COMMIT), make_live())
    path = serve.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert words in fails(serve.files("a/b"), Phase.RESOLVING, FailureReason.INVALID_CONFIG)


def test_a_missing_live_file(serve: Serve) -> None:
    serve.write(make_config(serve.hub, "a/b", ABSENT_COMMIT), make_live())
    (serve.folder / "live.json").unlink()
    assert "live.json" in fails(serve.files("a/b"), Phase.RESOLVING, FailureReason.INVALID_CONFIG)


@pytest.mark.model
def test_a_hub_that_is_down_is_waited_for(serve: Serve) -> None:
    port = free_port()
    config = make_config(serve.hub, serve.hub.minilm, commit_of(serve.hub, serve.hub.minilm))
    source = config.source.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"})
    # What the cache has whole is served without the hub: this one is empty.
    served = serve.config(config.model_copy(update={"source": source}), make_live(), cache=serve.folder / "empty")
    status = served.wait_failure(FailureReason.ORIGIN_UNREACHABLE)
    assert status.phase is Phase.RESOLVING
    assert status.failure is not None
    assert status.failure.retrying
    mirror = [sys.executable, "-m", "devcluster.hubmirror", "--root", str(serve.hub.root), "--port", str(port)]
    with subprocess.Popen(mirror, cwd=PROJECT, stdout=subprocess.DEVNULL) as late:
        try:
            assert served.wait_ready().failure is None
        finally:
            late.terminate()


def test_on_a_laptop_a_final_failure_ends_the_process(serve: Serve) -> None:
    served = serve.flags("pinion-tests/nowhere")
    assert served.wait_ended() == 1
    assert "SourceNotFound" in served.log_end()
    assert "Traceback" not in served.log_end()


def test_a_port_that_is_taken(serve: Serve) -> None:
    first = serve.config(make_config(serve.hub, "a/b", ABSENT_COMMIT), make_live())
    first.wait_for(Phase.FAILED)
    second = serve.flags("a/b", port=first.port)
    assert second.wait_ended() == 1
    assert str(first.port) in second.log_end()
    assert "Traceback" not in second.log_end()


@pytest.mark.model
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_git_lfs_pointer_is_told_with_the_size_it_should_have(serve: Serve, name: str) -> None:
    repo = f"pinion-tests/pointer-{name.partition('.')[0]}"
    folder = make_decoder(serve.hub.root / repo)
    (folder / name).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 90868376\n")
    served = serve.config(make_config(serve.hub, repo, commit_of(serve.hub, repo)), make_live())
    message = fails(served, Phase.LOADING, FailureReason.MODEL_LOAD_FAILED)
    assert "LFS pointer" in message
    assert f"{name} (it should have 90868376 bytes)" in message
    assert served.status().model.opened_cid == ""


@pytest.mark.model
def test_a_repository_with_dots_in_its_name_is_served_and_its_code_is_not_run(serve: Serve) -> None:
    folder = make_decoder(serve.hub.root / "Org.X/Model-1.5_v0.1")
    served = serve.flags("Org.X/Model-1.5_v0.1")
    assert served.wait_ready().model.repo == "Org.X/Model-1.5_v0.1"
    repo = "Org.X/Model-2.0_v0.1"
    own = shutil.copytree(folder, serve.hub.root / repo)
    ran = serve.folder / "was-run"
    (own / "code.py").write_text(f"open({str(ran)!r}, 'w')\n")
    code = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    config = json.loads((own / "config.json").read_text()) | {"model_type": "kettle", "auto_map": code}
    (own / "config.json").write_text(json.dumps(config))
    refused = serve.config(
        make_config(serve.hub, "Org.X/Model-2.0_v0.1", commit_of(serve.hub, "Org.X/Model-2.0_v0.1")), make_live()
    )
    status = refused.wait_for(Phase.FAILED, Phase.READY)
    assert status.failure is not None
    assert status.failure.reason in (FailureReason.MODEL_LOAD_FAILED, FailureReason.UNSUPPORTED_MODEL)
    assert "auto_map" in status.failure.message
    assert not ran.exists()
