"""What completes our command lines: asked in a real bash, as it asks when somebody presses Tab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
eval "$({program} --completion bash)"
complete -p {program} > /dev/null || exit 3
COMP_LINE={line!r} COMP_POINT=${{#COMP_LINE}} COMP_TYPE=9 COMP_WORDS=($COMP_LINE) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_python_argcomplete {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
SCRIPTS = Path(sys.executable).parent


def bash(script: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LINES = {
    "a command": ("pinion-ipfs ver", ["verify"]),
    "commands that begin alike": ("pinion-ipfs pin", ["pin", "pins"]),
    "an option": ("pinion-ipfs fetch --end", ["--endpoint"]),
    "a choice": ("pinion-ipfs fetch --xet a", ["auto"]),
    "a file": ("pinion-ipfs import mod", ["model.car"]),
    "of the server": ("pinion-serve --offl", ["--offline"]),
}


@pytest.mark.parametrize(("line", "answers"), LINES.values(), ids=LINES)
def test_bash_completes(line: str, answers: list[str], tmp_path: Path) -> None:
    (tmp_path / "model.car").touch()
    told = bash(ASK.format(program=line.split()[0], line=line), tmp_path)
    assert [answer.strip() for answer in told.splitlines()] == answers


@pytest.mark.parametrize("program", ["pinion-ipfs", "pinion-serve"])
@pytest.mark.parametrize(("shell", "words"), [("bash", "complete "), ("zsh", "#compdef"), ("fish", "complete --command")])
def test_what_a_shell_loads(program: str, shell: str, words: str, tmp_path: Path) -> None:
    told = bash(f"{program} --completion {shell}", tmp_path)
    assert words in told
    assert program in told
