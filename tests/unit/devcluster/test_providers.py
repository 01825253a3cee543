"""Whose cluster it is: what the environment names, else what works here; and what each refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster import engine
from devcluster.errors import DevClusterError
from devcluster.images.spec import ImageSpec
from devcluster.paths import REPOSITORY
from devcluster.providers import PROVIDERS, decide


def ask(command: str, cache: Path, **variables: str) -> str:
    """Run a command with this environment, and return what it refuses with."""
    argv = [sys.executable, "-m", "devcluster", command]
    environment = {**os.environ, "PINION_CACHE": str(cache), **variables}
    done = subprocess.run(argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def works() -> str:
    return ""


def lacks_root() -> str:
    return "no root"


def lacks_engine() -> str:
    return "no engine"


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_environment_decides(name: str) -> None:
    assert decide({"PINION_CLUSTER": name}, lacks_root, lacks_engine).name == name


def test_what_works_is_taken_and_says_why() -> None:
    assert decide({}, works, works).name == "local", "it needs nothing of others"
    kind = decide({}, lacks_root, works)
    assert (kind.name, "no root" in kind.why) == ("kind", True)
    nothing = decide({}, lacks_root, lacks_engine)
    assert nothing.name == "local", "whoever starts it hears what it lacks"
    assert "no root" in nothing.why
    assert "no engine" in nothing.why


def test_nobodys_cluster_is_taken_by_accident() -> None:
    """A kubeconfig, and even a context that is named, are no order."""
    for environment in ({"KUBECONFIG": "/somewhere"}, {"PINION_CONTEXT": "production"}):
        assert decide(environment, lacks_root, lacks_engine).name == "local"


def test_an_unknown_provider_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    said = ask("status", tmp_path, PINION_CLUSTER="moon")
    assert said == "error: PINION_CLUSTER=moon: there is no such provider; known: local, kind, existing\n"
    with pytest.raises(DevClusterError, match="moon"):
        decide({"PINION_CLUSTER": "moon"}, works, works)


def test_existing_wants_its_context_named(tmp_path: Path) -> None:
    assert "PINION_CONTEXT" in ask("up", tmp_path, PINION_CLUSTER="existing", PINION_CONTEXT="")


def test_kind_says_that_it_needs_an_engine(tmp_path: Path) -> None:
    """A client may be there or not: only an engine that answers counts, and there is none at this address."""
    nobody = f"unix://{tmp_path}/nobody.sock"
    assert "Docker engine" in ask("up", tmp_path, PINION_CLUSTER="kind", DOCKER_HOST=nobody, DOCKER_CONTEXT="")
    assert not (tmp_path / "kind").exists(), "nothing was begun"


def test_the_engine_builds_what_the_local_builder_builds(tmp_path: Path) -> None:
    spec = ImageSpec("hub", tmp_path / "Dockerfile.hub", tmp_path, {"BASE_IMAGE": "base"}, {"models": tmp_path / "m"}, "last")
    command = engine.build_command(spec, "registry.example/hub:1")
    assert command[:2] == ["docker", "build"]
    assert command[-1] == str(tmp_path)
    wanted = {
        f"--file={tmp_path}/Dockerfile.hub",
        "--tag=registry.example/hub:1",
        "--build-arg=BASE_IMAGE=base",
        f"--build-context=models={tmp_path}/m",
        "--target=last",
    }
    assert wanted <= set(command)


@pytest.mark.parametrize(
    ("knows", "complaint"),
    [("--build-arg list", "this `docker build` knows no --build-context"), ("--build-arg list\n--build-context strings", "")],
    ids=["without buildx", "with buildx"],
)
def test_an_engine_must_build_with_named_contexts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: str, complaint: str
) -> None:
    """Debian 12 has Docker 20.10, whose own words are `unknown flag: --build-context`, in the middle of the work."""
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\nif [ $1 = info ]; then echo 20.10.24; else echo '{knows}'; fi\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = engine.complaint()
    assert said.startswith(complaint)
    assert bool(said) == bool(complaint)


def test_only_images_for_this_machine_alone_are_listed_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/said\n'
        'if [ "$2" = ls ]; then echo pinion.local/hub:1; echo pinion.local/hub:2; fi\n'
        'if [ "$3" = pinion.local/hub:1 ]; then echo a container is made from it >&2; exit 1; fi\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = engine.images()
    assert found == ["pinion.local/hub:1", "pinion.local/hub:2"]
    engine.remove_images(found)
    assert (tmp_path / "said").read_text().splitlines() == [
        "image ls --filter=reference=pinion.local/* --format={{.Repository}}:{{.Tag}}",
        "image rm pinion.local/hub:1",
        "image rm pinion.local/hub:2",
    ]


def test_the_engines_base_image_is_the_dockerfiles_default() -> None:
    default = f"ARG BASE_IMAGE={engine.base_image()}\n"
    assert all(default in (REPOSITORY / f"Dockerfile.{name}").read_text() for name in ("operator", "runtime"))
