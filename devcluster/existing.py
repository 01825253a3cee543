"""A cluster of somebody's: only when its context is named, only in namespaces of our own, never over a Pinion that is there."""

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from . import engine, install
from .errors import DevClusterError
from .gotools import CONTROL, HELM, KUBO, ensure
from .images.spec import ImageSpec
from .images.tags import REGISTRY
from .kubectl import Kubectl, KubectlError, current_context, read_context
from .paths import cache_dir, make_private
from .removal import remove_tree
from .steps import Step, take_all

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
        self.patience = 180  # seconds for each thing that the cluster was told to delete

    @property
    def kubeconfig(self) -> Path:
        """Return a kubeconfig with the named context alone: a command that forgets it reaches no other cluster."""
        return self.state / "admin.kubeconfig"

    @property
    def context(self) -> str:
        """Return the context that is worked in, "" for none."""
        return current_context(self.kubeconfig)

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
        self._write_kubeconfig()
        self._refuse_strangers()
        print(f"context {self.context}: the cluster answers, and no Pinion but ours is in it", flush=True)

    def down(self) -> None:
        """Take away the release, its definitions and our namespaces; nothing else, and twice is no error."""
        if not self.context:
            if not self.wanted:
                if self.state.exists():
                    raise ExistingError(f"{self.kubeconfig} is gone: name the cluster to take away from with PINION_CONTEXT")
                return
            ensure([CONTROL])
            self._write_kubeconfig()
        ensure([CONTROL, HELM])
        self._refuse_strangers()
        spaces, definitions = self._own_namespaces(), self._definitions()
        take_all(self._removal(spaces, list(definitions)))
        remove_tree(self.state)

    def _removal(self, spaces: list[str], definitions: list[str]) -> Iterator[Step]:
        # While the operator still runs: only it takes the finalizers of IpfsBackends off, and the pins with them.
        for kind in ("modeldeployments", "ipfsbackends"):
            if f"{kind}.{GROUP}" in definitions:
                for space in spaces:
                    yield Step(f"{kind} in {space}", partial(self._delete_objects, f"{kind}.{GROUP}", space))
        if install.SYSTEM_NAMESPACE in spaces:
            yield Step(f"the release {install.RELEASE}", lambda: install.uninstall_chart(self))
        if spaces:
            yield Step("what the release has left", self._delete_cluster_roles)
        for name in definitions:
            yield Step(f"the definition {name}", partial(self._delete, "crd", name))
        if spaces:
            yield Step("namespaces", partial(self._delete, "namespace", *spaces, "--wait=false"))  # they end at the same time
        for name in spaces:
            yield Step(f"the namespace {name}", partial(self._delete_namespace, name))

    def _delete(self, *what: str) -> None:
        limit = self.patience
        self.kubectl("delete", *what, "--ignore-not-found", f"--timeout={limit}s", timeout=limit + 10)

    def _delete_objects(self, kind: str, space: str) -> None:
        where = f"--namespace={space}"
        try:
            self._delete(kind, "--all", where)
        except KubectlError as error:
            # Its operator is dead: nobody else would ever let them go, nor the namespace with them.
            freed = [one for one in self._get(kind, where) if self._free(kind, one)]
            if not freed:
                raise
            raise ExistingError(
                f"the operator did not let go of {', '.join(one['metadata']['name'] for one in freed)} within "
                f"{self.patience} s, and they went without it: pins on nodes of others stay"
            ) from error

    def _free(self, kind: str, one: dict[str, Any]) -> bool:
        """Take our finalizers off; tell whether there were any."""
        name, space, held = (one["metadata"].get(key, []) for key in ("name", "namespace", "finalizers"))
        others = [finalizer for finalizer in held if not finalizer.startswith(f"{GROUP}/")]
        if others != held:
            change = json.dumps({"metadata": {"finalizers": others}})
            self.kubectl("patch", kind, name, f"--namespace={space}", "--type=merge", f"--patch={change}")
        return bool(others != held)

    def _delete_cluster_roles(self) -> None:
        """Delete what belongs to no namespace: Helm does not know it any more when the record of the release is gone."""
        for kind in ("clusterroles", "clusterrolebindings"):
            for name, release in self._releases(kind).items():
                if release == _RELEASE:
                    self._delete(kind, name)

    def _delete_namespace(self, name: str) -> None:
        try:
            self._delete("namespace", name)
        except KubectlError as error:
            (found,) = self._get("namespace", f"--field-selector=metadata.name={name}") or [{}]
            conditions = found.get("status", {}).get("conditions", [])
            why = [one["message"] for one in conditions if one["status"] == "True" and one["type"].endswith("Remaining")]
            raise ExistingError(f"not gone within {self.patience} s: {'; '.join(why) or error}") from error

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

    def _write_kubeconfig(self) -> None:
        config = read_context(self.wanted, self._environment)
        make_private(self.state)
        unfinished = self.state / "unfinished.kubeconfig"  # whole or not at all: whoever writes it may be interrupted
        unfinished.touch(0o600)
        unfinished.write_text(config)
        unfinished.replace(self.kubeconfig)

    def _refuse_strangers(self) -> None:
        own = self._own_namespaces()
        # Definitions came after their namespace, so that one was ours too, and somebody has deleted it.
        ours = install.SYSTEM_NAMESPACE in own or (bool(own) and not self._has_namespace(install.SYSTEM_NAMESPACE))
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
        releases = self._releases("customresourcedefinitions")
        return {name: release for name, release in releases.items() if name.endswith(f".{GROUP}")}

    def _releases(self, kind: str) -> dict[str, tuple[str, str]]:
        """Return the objects of a kind that belongs to no namespace, each with the release of Helm that owns it."""
        marks = ("meta.helm.sh/release-namespace", "meta.helm.sh/release-name")
        owners = {one["metadata"]["name"]: one["metadata"].get("annotations", {}) for one in self._get(kind)}
        return {name: (has.get(marks[0], ""), has.get(marks[1], "")) for name, has in owners.items()}

    def _has_namespace(self, name: str) -> bool:
        return bool(self._get("namespaces", f"--field-selector=metadata.name={name}"))

    def _own_namespaces(self) -> list[str]:
        return [one["metadata"]["name"] for one in self._get("namespaces", f"--selector={install.OWN_LABEL}=true")]

    def _get(self, *arguments: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", *arguments, "--output=json"))["items"]
        return items


_RELEASE = (install.SYSTEM_NAMESPACE, install.RELEASE)
