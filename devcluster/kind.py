"""kind: a Kubernetes node as a container of a Docker engine, by pytest-kind."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_kind import KindCluster as Kind

from . import engine
from .errors import DevClusterError
from .gotools import CONTROL, HELM, KIND, KUBO, ensure
from .images.keeping import note_image, unwanted_images
from .images.spec import ImageSpec
from .kubectl import Kubectl, KubectlError, shell_line
from .paths import cache_dir, make_private
from .removal import remove_tree
from .trees import Trees

CLUSTER = "pinion"
# The node image that this release of kind was made with; our Kubernetes is of the same minor version.
NODE_IMAGE = "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"


class KindError(DevClusterError):
    """kind, or the engine that it needs, did not do what was asked; the message says which."""


class KindCluster:
    """One node in the Docker engine of this machine; its name is taken by this project."""

    name = "kind"
    exclusive = True

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        known = os.environ if environment is None else environment
        self.state, self.node_image = cache_dir() / "kind", known.get("PINION_NODE_IMAGE") or NODE_IMAGE

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig; it stands alone, and goes with the cluster."""
        return self.state / "admin.kubeconfig"

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl as the administrator and return its standard output; raise KubectlError when it fails."""
        return Kubectl(self.kubeconfig)(*arguments, input=input, timeout=timeout)

    def up(self) -> None:
        """Create the cluster, or find that it runs; what is left of one without a kubeconfig is deleted first."""
        _need_engine()
        ensure([KIND, CONTROL, HELM, KUBO])
        make_private(self.state)
        if not (self.kubeconfig.exists() and self.kubeconfig.stat().st_size):  # kind writes it last
            self._delete_cluster()
        with self._kind("create the cluster") as kind:
            kind.create()
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=180s", timeout=190)
        print(f"the cluster is up\n  {shell_line(self.kubeconfig)}", flush=True)

    def down(self) -> None:
        """Delete the cluster, also one whose kubeconfig is gone; twice is no error."""
        if not self.state.exists() and engine.complaint():
            return  # nothing was begun, and nobody can be asked
        _need_engine()
        ensure([KIND])
        make_private(self.state)
        self._delete_cluster()
        remove_tree(self.state)

    def _delete_cluster(self) -> None:
        with self._kind("delete the cluster") as kind:
            kind.delete()

    def is_up(self) -> bool:
        """Tell whether the node is Ready."""
        if not self.kubeconfig.exists() or engine.complaint():
            return False
        try:
            nodes = json.loads(self.kubectl("get", "nodes", "--output=json", "--request-timeout=5s"))["items"]
        except KubectlError:
            return False
        conditions = [condition for node in nodes for condition in node["status"]["conditions"]]
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def base_image(self) -> str:
        """Return the reference of an image with Python to build on; the engine pulls it."""
        return engine.base_image()

    def build_image(self, spec: ImageSpec) -> str:
        """Build an image with the engine, unless it is there, and load it into the node; return its reference."""
        reference, trees = spec.reference, Trees()
        note_image(trees, reference)
        if not engine.has(reference):
            engine.build(spec, reference, cache_dir() / "build-logs" / f"{spec.name}.log")
            engine.remove_images(unwanted_images(trees, engine.images()))
        with self._kind(f"load {reference}") as kind:
            kind.load_docker_image(reference)
        return reference

    def load(self, archive: Path) -> None:
        """Load an archive of an image into the node."""
        command = [str(KIND.program("kind")), "load", "image-archive", f"--name={CLUSTER}", str(archive)]
        with _named(f"load {archive}"):
            subprocess.run(command, check=True, timeout=600)

    @contextlib.contextmanager
    def _kind(self, what: str) -> Iterator[Kind]:
        # Its folder is made below the working directory, and its own programs would be downloaded: both are given.
        with contextlib.chdir(self.state), _named(what):
            yield Kind(
                CLUSTER,
                kubeconfig=self.kubeconfig,
                image=self.node_image,
                kind_path=KIND.program("kind"),
                kubectl_path=CONTROL.program("kubectl"),
            )


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except subprocess.CalledProcessError as error:
        raise KindError(f"kind could not {what} ({error.returncode}); its own words are above") from error


def _need_engine() -> None:
    if why := engine.complaint():
        raise KindError(f"kind needs a Docker engine, and none can be used: {why}")
