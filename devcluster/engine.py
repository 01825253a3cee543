"""A Docker engine, for clusters that take their images from one: `kind` loads them, `existing` pulls them from a registry."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from .commands import CommandError, MissingProgramError, attempt, run
from .images.buildkit import ImageError
from .images.machine import ca_file, package_index, proxies
from .images.spec import ImageSpec
from .images.tags import REGISTRY
from .paths import REPOSITORY

_INDEX_VARIABLE = "PINION_BUILD_INDEX"


def complaint() -> str:
    """Return why no Docker engine can be used, "" when one answers: a client alone proves nothing."""
    try:
        run("docker", "info", "--format={{.ServerVersion}}", timeout=20)
        if "--build-context" not in run("docker", "build", "--help", timeout=20):
            return "this `docker build` knows no --build-context: it needs buildx, which Docker has since 23.0"
    except MissingProgramError:
        return "there is no `docker` on the PATH"
    except CommandError as error:
        return str(error)
    return ""


def base_image() -> str:
    """Return the base image that the Dockerfiles name by default: with an engine there is a registry to pull it from."""
    found = re.search(r"^ARG BASE_IMAGE=(\S+)$", (REPOSITORY / "Dockerfile.operator").read_text(), re.MULTILINE)
    if found is None:
        raise ImageError("Dockerfile.operator names no default BASE_IMAGE")
    return found[1]


def has(reference: str) -> bool:
    """Tell whether the engine holds an image."""
    try:
        run("docker", "image", "inspect", "--format={{.Id}}", reference)
    except CommandError:
        return False
    return True


def images() -> list[str]:
    """Return the references of the images that were built for this machine alone."""
    shown = run("docker", "image", "ls", f"--filter=reference={REGISTRY}/*", "--format={{.Repository}}:{{.Tag}}")
    return shown.split()


def remove_images(references: Iterable[str]) -> None:
    """Delete images; one that a container is made from stays."""
    for reference in references:
        attempt("docker", "image", "rm", reference)


def build(spec: ImageSpec, reference: str, log: Path) -> None:
    """Build an image under a reference; the builder's output goes to `log`."""
    started = time.monotonic()
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", _INDEX_VARIABLE: package_index()}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        done = subprocess.run(
            build_command(spec, reference),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=3600,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise ImageError(f"{spec.name}: the build failed; whole output in {log}\n{tail}")
    print(f"  built in {time.monotonic() - started:.0f} s", flush=True)


def build_command(spec: ImageSpec, reference: str) -> list[str]:
    """Return the command line that builds an image."""
    return [
        *("docker", "build", "--progress=plain", f"--file={spec.dockerfile}", f"--tag={reference}"),
        *(f"--build-arg={key}={value}" for key, value in {**proxies(), **spec.arguments}.items()),
        *(f"--build-context={name}={folder}" for name, folder in spec.contexts.items()),
        *([f"--target={spec.target}"] if spec.target else []),
        *_secrets(),
        str(spec.context),
    ]


def push(reference: str) -> None:
    """Push an image to the registry that its name says."""
    run("docker", "push", "--quiet", reference, timeout=3600)


def _secrets() -> Iterator[str]:
    if authorities := ca_file():
        yield f"--secret=id=ca,src={authorities}"
    if package_index():
        yield f"--secret=id=index,env={_INDEX_VARIABLE}"
