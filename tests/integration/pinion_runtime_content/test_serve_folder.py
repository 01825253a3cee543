"""`pinion-serve FOLDER`: a model of one's own, with no hub, no network, no right to write, and the CID that it has anywhere."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinion_contract.status import Phase
from tests.support.hub import Hub
from tests.support.models import TinyModels
from tests.support.processes import engine_of
from tests.support.serve import Serve, Served, wait_until

pytestmark = pytest.mark.model

NOBODY = 1_000_910_017
# Python runs this first in each process: whoever is asked for a name or connected to is written down.
LISTENING = """
import sys

def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open({log!r}, "a") as log:
            print(event, arguments[1:], file=log)

sys.addaudithook(hook)
"""


@pytest.fixture(scope="module")
def folder(tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `git clone` and training leave it, which nobody may write to."""
    made = tiny_models.copy(tmp_path_factory.mktemp("folder") / "my-model")
    (made / ".git").mkdir()
    (made / ".git/HEAD").write_text("ref: refs/heads/main")
    (made / "pytorch_model.bin").write_bytes(b"pickle")
    for path in (made, *made.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return made


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is written down who was asked."""
    log = tmp_path_factory.mktemp("asked") / "asked.log"
    log.touch()
    log.chmod(0o666)
    return log


@pytest.fixture(scope="module")
def served(hub: Hub, folder: Path, asked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It runs as a user that nobody knows, who has no home and may write nowhere but to /tmp."""
    work = tmp_path_factory.mktemp("serve")
    (work / "sitecustomize.py").write_text(LISTENING.format(log=str(asked)))
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    nobody = ("setpriv", f"--reuid={NOBODY}", "--regid=0", "--clear-groups", *reading)
    serve = Serve(hub, work, Path("/proc/no-cache"), prefix=nobody, without=("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME"))
    serve.variables = {"PYTHONPATH": str(work), "TMPDIR": "/tmp"}
    try:
        running = serve.local(str(folder), "my-model", "--ignore", "sentence_bert_config.json")
        running.wait_ready()
        yield running
    finally:
        serve.stop_all()


def only_hash(folder: Path) -> str:
    command = [sys.executable, "-m", "pinion_ipfs", "add", "--only-hash", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_it_has_the_cid_of_the_chosen_files_and_no_commit(
    served: Served, folder: Path, tiny_models: TinyModels, tmp_path: Path
) -> None:
    chosen = tiny_models.copy(tmp_path / "chosen")
    (chosen / "sentence_bert_config.json").unlink()
    status = served.status()
    cid = only_hash(chosen)
    assert (status.model.cid, status.model.opened_cid) == (cid, cid)
    assert (status.model.folder, status.model.repo, status.model.commit) == (str(folder), "", "")
    answer = served.post({"model": "my-model", "input": "a kettle"})
    assert (answer.status_code, answer.headers["x-model-cid"]) == (200, cid)


def test_its_vectors_are_those_of_the_folder(served: Served, folder: Path, reference: Callable[[Path], Any]) -> None:
    answer = served.post({"model": "my-model", "input": ["a kettle", "sings"], "encoding_format": "float"})
    vectors = np.array([entry["embedding"] for entry in answer.json()["data"]])
    expected = reference(folder).encode(["a kettle", "sings"])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_folder_that_has_changed_is_not_loaded_again_under_its_old_cid(served: Served, folder: Path) -> None:
    weights = folder / "model.safetensors"
    before = weights.read_bytes()
    flipped = before[:-1] + bytes([before[-1] ^ 1])
    weights.write_bytes(flipped)
    try:
        os.kill(engine_of(served), signal.SIGKILL)
        status = served.wait_for(Phase.LOADING)
        wait_until(lambda: "model.safetensors" in str(served.status().failure), 60, "the file is told")
        assert served.get("/readyz").status_code == 503
    finally:
        weights.write_bytes(before)
    assert served.wait_ready_after_failure().model.cid == status.model.cid


def test_nobody_is_asked_and_nothing_is_left(served: Served, folder: Path, asked: Path) -> None:
    views: list[Path] = []
    for path in Path("/tmp").glob("pinion-*"):
        with suppress(FileNotFoundError):  # others make theirs there, and take them away
            if path.stat().st_uid == NOBODY:
                views.append(path)
    assert [oct(path.stat().st_mode & 0o777) for path in views] == ["0o700"], "one private folder of links"
    served.terminate()
    assert served.wait_ended() == 0
    assert asked.read_text() == ""
    assert not views[0].exists()
    assert [path.name for path in (folder / ".git").iterdir()] == ["HEAD"]


def test_a_folder_that_holds_no_model_ends_the_process(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    served = serve.local(str(tmp_path / "empty"), "empty")
    assert served.wait_ended() == 1
    assert "no file of the folder" in served.log_end()
    assert "Traceback" not in served.log_end()
    assert Phase.READY.value not in served.log_end()


def test_a_list_that_shows_no_model_ends_the_process_before_anything_is_fetched(serve: Serve, hub: Hub) -> None:
    """What is refused, and in which words, stands in the tests of lists; here: at the hub as in a folder, and by flags."""
    repo, whole = "lists/unsupported", {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"w"}
    folder = hub.add_repo(repo, whole)
    starts = (serve.flags(repo, "--ignore", "tokenizer*"), serve.local(str(folder), "m", "--allow", "*.safetensors"))
    words = (
        "tokenizer.json is there, and is left out by the patterns",
        "config.json is there, and is left out by the patterns",
    )
    for served, told in zip(starts, words, strict=True):
        assert served.wait_ended() == 1
        assert "UnsupportedModel" in served.log_end()
        assert told in served.log_end()
        assert "Traceback" not in served.log_end()
    assert hub.repo_stats(repo)["file_gets"] == 0


def test_leftovers_are_not_fetched(serve: Serve, hub: Hub, tiny_models: TinyModels) -> None:
    tiny_models.copy(hub.root / "lists/leftovers-served", seed=14)
    for name in ("checkpoint-500/optimizer.pt", "model.fp16.safetensors", "demo.mp4", "pytorch_model.bin"):
        hub.add_repo("lists/leftovers-served", {name: b"left over"})
    served = serve.flags("lists/leftovers-served", "--ignore", "sentence_bert_config.json", cache=serve.folder / "hf")
    status = served.wait_ready()
    asked = set(hub.repo_stats("lists/leftovers-served")["gets_by_path"])
    made = tiny_models.make(seed=14)
    there = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert asked <= there - {"sentence_bert_config.json"}
    assert status.model.file_count == len(there) - 1
