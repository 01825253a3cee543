"""A cluster of somebody's: only when its context is named, only in namespaces of our own, never over a Pinion that is there."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import engine, install
from .errors import DevClusterError
from .gotools import CONTROL, HELM, KUBO, ensure
from .images.spec import ImageSpec
from .images.tags import REGISTRY
from .kubectl import Kubectl, KubectlError, current_context, read_context
from .paths import cache_dir, make_private

GROUP = "pinion.dev"
_OPERATORS = "app.kubernetes.io/name=pinion-operator"


class ExistingError(DevClusterError):
    """This cluster cannot be used as it is; the message says what is in the way."""


class ExistingCluster:
    """The cluster behind `PINION_CONTEXT`; `up` looks whether we may, `down` takes away what we brought."""

    name = "existing"
    exclusive = False

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = known = os.environ if environment is None else environment
        self.wanted, self.registry = known.get("PINION_CONTEXT", ""), known.get("PINION_REGISTRY", "").rstrip("/")
        self.state = cache_dir() / "existing"

    @property
    def kubeconfig(self) -> Path:
        """Return a kubeconfig with the named context alone: a command that forgets it reaches no other cluster."""
        return self.state / "admin.kubeconfig"

    @property
    def context(self) -> str:
        """Return the context that is worked in, "" for none."""
        return current_context(self.kubeconfig) if self.kubeconfig.exists() else ""

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl in the named context and return its standard output; raise KubectlError when it fails."""
        return Kubectl(self.kubeconfig)(*arguments, input=input, timeout=timeout)

    def up(self) -> None:
        """Look whether the cluster answers and is free of foreign Pinions; raise ExistingError with what is in the way."""
        if not self.wanted:
            raise ExistingError("PINION_CLUSTER=existing needs PINION_CONTEXT: no context is guessed")
        if self.context not in ("", self.wanted) and self.is_up():
            raise ExistingError(f"context {self.context} still holds what was brought there: take it away first (`down`)")
        ensure([CONTROL, HELM, KUBO])
        config = read_context(self.wanted, self._environment)
        make_private(self.state)
        self.kubeconfig.touch(0o600)
        self.kubeconfig.write_text(config)
        self._refuse_strangers()
        print(f"context {self.context}: the cluster answers, and no Pinion but ours is in it", flush=True)

    def down(self) -> None:
        """Take away the release, its definitions and our namespaces; nothing else, and twice is no error."""
        if not self.kubeconfig.exists():
            return
        ensure([CONTROL, HELM])
        self._refuse_strangers()
        spaces, definitions = self._own_namespaces(), self._definitions()
        if definitions:
            # While the operator still runs: only it takes the finalizers of IpfsBackends off, and the pins with them.
            for kind in ("modeldeployments", "ipfsbackends"):
                for space in spaces:
                    self.kubectl("delete", f"{kind}.{GROUP}", "--all", f"--namespace={space}", "--timeout=180s", timeout=190)
        if install.SYSTEM_NAMESPACE in spaces:
            install.uninstall_chart(self)
        for what in (["crd", *definitions], ["namespace", *spaces]):
            if what[1:]:
                self.kubectl("delete", *what, "--ignore-not-found", "--timeout=180s", timeout=190)
        shutil.rmtree(self.state)

    def is_up(self) -> bool:
        """Tell whether something of ours is in the cluster."""
        try:
            return self.kubeconfig.exists() and bool(self._own_namespaces())
        except KubectlError:
            return False

    def base_image(self) -> str:
        """Return the reference of an image with Python to build on; the engine pulls it."""
        return engine.base_image()

    def build_image(self, spec: ImageSpec) -> str:
        """Build an image with the Docker engine of this machine and push it; return its reference in the registry."""
        if not self.registry:
            raise ExistingError("PINION_CLUSTER=existing needs PINION_REGISTRY: where images are pushed, and nodes pull them")
        if why := engine.complaint():
            raise ExistingError(f"images for {self.registry} are built by a Docker engine, and none can be used: {why}")
        reference = self.registry + spec.reference.removeprefix(REGISTRY)
        if not engine.has(reference):
            engine.build(spec, reference, cache_dir() / "build-logs" / f"{spec.name}.log")
        engine.push(reference)
        return reference

    def load(self, archive: Path) -> None:
        """Refuse: nobody can reach into the nodes of somebody's cluster."""
        raise ExistingError(f"{archive.name} cannot be brought into the nodes of {self.context}: push an image to a registry")

    def _refuse_strangers(self) -> None:
        ours = install.SYSTEM_NAMESPACE in self._own_namespaces()
        foreign = [name for name, release in self._definitions().items() if not (ours and release == _RELEASE)]
        if foreign:
            raise ExistingError(
                f"context {self.context} has definitions that were not made here, and models that may depend on them: "
                f"{', '.join(sorted(foreign))}"
            )
        found = self._get("deployments", "--all-namespaces", f"--selector={_OPERATORS}")
        places = {f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in found}
        others = {place for place in places if not (ours and place.startswith(f"{install.SYSTEM_NAMESPACE}/"))}
        if others:
            raise ExistingError(f"context {self.context} has an operator of Pinion already: {', '.join(sorted(others))}")

    def _definitions(self) -> dict[str, tuple[str, str]]:
        """Return the definitions of our group, each with the release that owns it."""
        marks = ("meta.helm.sh/release-namespace", "meta.helm.sh/release-name")
        found = [one for one in self._get("customresourcedefinitions") if one["spec"]["group"] == GROUP]
        owners = {one["metadata"]["name"]: one["metadata"].get("annotations", {}) for one in found}
        return {name: (has.get(marks[0], ""), has.get(marks[1], "")) for name, has in owners.items()}

    def _own_namespaces(self) -> list[str]:
        return [one["metadata"]["name"] for one in self._get("namespaces", f"--selector={install.OWN_LABEL}=true")]

    def _get(self, *arguments: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", *arguments, "--output=json"))["items"]
        return items


_RELEASE = (install.SYSTEM_NAMESPACE, install.RELEASE)
