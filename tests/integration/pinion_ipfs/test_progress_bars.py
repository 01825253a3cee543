"""Long commands draw one kind of bar on a terminal, and nothing anywhere else."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cars import make_car
from tests.support.folders import write_files
from tests.support.hub import Hub
from tests.support.kubo import Kubo
from tests.support.program import Program

pytestmark = pytest.mark.kubo
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(250)) * 9_000}
CID, CAR = make_car(FILES)
REPO = "pinion-tests/for-the-bars"
BAR = r"{what} \[[#-]{{20}}\] +\d+% [\d.]+ of {total} MB, [\d.]+ MB/s(, \d+ s left)?"

COMMANDS: dict[str, tuple[list[str], str]] = {
    "add": (["add", "model"], "hashing"),
    "add, to Kubo": (["add", "model"], "sending"),
    "add --store": (["add", "--store", "model"], "storing"),
    "export": (["export", "-o", "out.car", "model"], "writing"),
    "import": (["import", "model.car", "out"], "reading"),
    "verify": (["verify", "model.car"], "reading"),
    "verify DIR": (["verify", "model", str(CID)], "hashing"),
    "get": (["get", str(CID), "out"], "getting"),
    "fetch": (["fetch", REPO], "fetching"),
}


@pytest.fixture
def program(kubo: Kubo, hub: Hub, tmp_path: Path) -> Program:
    """Return the program in a folder with all that the commands work on."""
    write_files(tmp_path / "model", FILES)
    (tmp_path / "model.car").write_bytes(CAR)
    hub.add_repo(REPO, FILES)
    program = Program(tmp_path / "home", HF_ENDPOINT=hub.endpoint, KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.token)
    kubo.add(tmp_path / "model")
    return program


@pytest.fixture
def drawn(program: Program, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Return a function that runs a command with standard error on a terminal, and returns what is on it and on output."""

    def run(words: list[str], **variables: str) -> tuple[str, str]:
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            command = [sys.executable, "-m", "pinion_ipfs", *words]
            environment = program.environment | variables
            with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
                os.close(theirs)
                shown = b""
                try:
                    while piece := terminal.read(65536):
                        shown += piece
                except OSError:  # nobody has the other end open any more
                    pass
                assert process.stdout is not None
                output = process.stdout.read().decode()
            assert process.returncode == 0, shown
        return shown.decode(), output

    return run


@pytest.mark.parametrize(("words", "what"), COMMANDS.values(), ids=COMMANDS)
def test_a_bar_on_a_terminal(drawn: Callable[..., tuple[str, str]], words: list[str], what: str) -> None:
    shown, output = drawn(words)
    lines = [line.removesuffix("\x1b[K") for line in re.split(r"\r\n?|\n", shown) if line.startswith(what)]
    assert all(re.fullmatch(BAR.format(what=what, total=r"2\.\d"), line) for line in lines), shown
    assert f"{what} [{'#' * 20}] 100%" in shown
    assert "\x1b" not in output


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS.values()], ids=COMMANDS)
def test_nothing_elsewhere(program: Program, tmp_path: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "pinion_ipfs", *words]
    done = subprocess.run(command, cwd=tmp_path, env=program.environment, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_hubs_own_switch(drawn: Callable[..., tuple[str, str]]) -> None:
    assert drawn(["verify", "model.car"], HF_HUB_DISABLE_PROGRESS_BARS="1")[0] == ""
