"""Process 1 of our containers is an init: in the images, in the pods that the operator makes, and here, to be tried."""

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pinion_operator.resources.podtemplate import INIT
from tests.support.model_world import World

ROOT = Path(__file__).resolve().parents[3]


def entrypoint(program: str) -> list[str]:
    """Return the last ENTRYPOINT of a Dockerfile."""
    found: list[str] = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / f"Dockerfile.{program}").read_text(), re.MULTILINE)
    words: list[str] = json.loads(found[-1])
    return words


@pytest.mark.parametrize("program", ["operator", "runtime"])
def test_an_image_starts_its_program_by_an_init_that_it_installs(program: str) -> None:
    assert entrypoint(program) == [INIT, "--", "python", "-m", f"pinion_{program}"]
    extras = f'"{program}", "container"]'
    assert any(line.endswith(extras) for line in (ROOT / f"Dockerfile.{program}").read_text().splitlines())


def test_a_pod_says_itself_what_the_image_would_start() -> None:
    world = World()
    world.settle()
    (container,) = world.deployment["spec"]["template"]["spec"]["containers"]
    command: list[Any] = container["command"]
    assert command[: command.index("--config")] == entrypoint("runtime")


def test_the_extra_brings_the_init() -> None:
    (needed,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["container"]
    assert re.split(r"[^a-z-]", needed)[0] == INIT
    assert shutil.which(INIT, path=str(Path(sys.executable).parent)), "`make` has not made this environment"
