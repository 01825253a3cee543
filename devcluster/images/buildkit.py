"""BuildKit with containerd's own store: a built image is one the kubelet sees at once, nothing is exported or imported."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ..commands import attempt, run
from ..daemons import Daemons, find_program
from ..errors import DevClusterError
from ..gotools import BUILDKIT, ensure
from ..limits import BUILDER
from .machine import ca_file, package_index, proxies
from .spec import ImageSpec

_INDEX_VARIABLE = "PINION_BUILD_INDEX"
# What the builder lets go of, the most easily made again first: builds that no image came of, or none that is there any more;
# downloaded packages; layers that images have too and that were not used lately; at last all of them.
PRUNINGS = (
    ("--filter", "type!=exec.cachemount"),
    (),
    ("--all", "--keep-storage", str(BUILDER // 1_000_000)),
    ("--all",),
)


class ImageError(DevClusterError):
    """An image could not be built; the message carries the end of the builder's output."""


@contextlib.contextmanager
def builder(socket: Path, state: Path, containerd_socket: Path, namespace: str, cgroup: str) -> Iterator["Builder"]:
    """Run buildkitd for a few builds; it ends with the block, or with this process."""
    ensure([BUILDKIT])
    state.mkdir(parents=True, exist_ok=True)
    config = state / "buildkitd.toml"
    config.write_text(
        f"""\
root = "{state}"
[grpc]
  address = ["unix://{socket}"]
[worker.oci]
  enabled = false
[worker.containerd]
  enabled = true
  address = "{containerd_socket}"
  namespace = "{namespace}"
  networkMode = "host"
  defaultCgroupParent = "/{cgroup}"
  gc = false
"""
    )
    daemons = Daemons(state / "daemon", tied=True)
    # The secrets of a build are mounted there: a builder that is killed leaves them, and `down` has to find them.
    temporary = temporary_folder(state)
    temporary.mkdir(exist_ok=True)
    environment = (find_program("env", "coreutils"), f"TMPDIR={temporary}")
    daemons.start("buildkitd", [*environment, BUILDKIT.program("buildkitd"), "--config", config])
    try:
        running = Builder(socket)
        daemons.wait_until(running.answers, "buildkitd", timeout=30)
        yield running
    finally:
        daemons.stop(grace=10)


def temporary_folder(state: Path) -> Path:
    """Return the folder of what a builder holds only while it builds."""
    return state / "tmp"


class Builder:
    """A running buildkitd."""

    def __init__(self, socket: Path) -> None:
        self._control = [str(BUILDKIT.program("buildctl")), "--addr", f"unix://{socket}"]

    def answers(self) -> bool:
        """Tell whether the daemon is ready."""
        return attempt(*self._control, "debug", "workers", timeout=10)

    def prune(self, *how: str) -> None:
        """Delete what is cached, as far as `how` says: the daemon's own collector comes too late."""
        run(*self._control, "prune", *how, timeout=600)

    def build(self, spec: ImageSpec, reference: str, log: Path) -> None:
        """Build an image under a reference; the builder's output goes to `log`."""
        started = time.monotonic()
        command = [
            *(*self._control, "build", "--progress=plain", "--frontend", "dockerfile.v0"),
            *("--local", f"context={spec.context}", "--local", f"dockerfile={spec.dockerfile.parent}"),
            *("--opt", f"filename={spec.dockerfile.name}", "--opt", "image-resolve-mode=local"),
            *_options("build-arg", {**proxies(), **spec.arguments}),
            *_contexts(spec),
            *(("--opt", f"target={spec.target}") if spec.target else ()),
            *_secrets(),
            # Compressing 5 GiB costs minutes, and nothing travels.
            *("--output", f"type=image,name={reference},compression=uncompressed,unpack=true"),
        ]
        environment = {**os.environ, _INDEX_VARIABLE: package_index()}
        with log.open("w") as output:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=3600, check=False
            )
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
            raise ImageError(f"{spec.name}: the build failed; whole output in {log}\n{tail}")
        print(f"  built in {time.monotonic() - started:.0f} s", flush=True)


def _options(kind: str, values: dict[str, str]) -> Iterator[str]:
    for key, value in values.items():
        yield from ("--opt", f"{kind}:{key}={value}")


def _contexts(spec: ImageSpec) -> Iterator[str]:
    for name, folder in spec.contexts.items():
        yield from ("--opt", f"context:{name}=local:{name}", "--local", f"{name}={folder}")


def _secrets() -> Iterator[str]:
    if authorities := ca_file():
        yield from ("--secret", f"id=ca,src={authorities}")
    if package_index():
        yield from ("--secret", f"id=index,env={_INDEX_VARIABLE}")
