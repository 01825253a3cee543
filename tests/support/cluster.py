"""A whole cluster with the images, the hub mirror and the chart: once per test session, gone at its end."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from devcluster import asking, evidence, install
from devcluster.images.project import build_all, models_folder
from devcluster.kubectl import Kubectl, KubectlError, patiently
from devcluster.provider import Cluster as Provider
from devcluster.providers import choose_cluster
from tests.support import administrator, waiting

Object = dict[str, Any]
T = TypeVar("T")


def condition(obj: Object, kind: str) -> tuple[str, str]:
    """Return (status, reason) of a condition; ("", "") when it is absent."""
    found = _find(obj, kind)
    return found.get("status", ""), found.get("reason", "")


def message(obj: Object, kind: str) -> str:
    """Return the message of a condition."""
    return _find(obj, kind).get("message", "")


def serves(obj: Object, replicas: int) -> bool:
    """Return whether a ModelDeployment says that so many pods serve its one revision, and nothing goes on."""
    status = obj.get("status", {})
    serving = [{"cid": status.get("model", {}).get("cid", ""), "replicas": replicas}]
    return condition(obj, "Ready") == ("True", "Serving") and not _find(obj, "Reconciling") and status.get("serving") == serving


def _find(obj: Object, kind: str) -> Object:
    return next((c for c in obj.get("status", {}).get("conditions", []) if c["type"] == kind), {})


def wait_until(what: str, holds: Callable[[], Any], *, timeout: float, describe: Callable[[], Any] | None = None) -> None:
    """Ask again and again until it holds; fail with what was waited for and what was seen last."""
    deadline = time.monotonic() + timeout
    while not _holds(holds, deadline):
        if time.monotonic() > deadline:
            seen = f"; last seen: {json.dumps(describe())[:3000]}" if describe else ""
            pytest.fail(f"no {what} after {timeout:.0f} s{seen}")
        time.sleep(0.25)


def _holds(holds: Callable[[], Any], deadline: float) -> bool:
    """Ask once; what kubectl answers with an error does not hold, until the time is over."""
    try:
        return bool(holds())
    except KubectlError:
        if time.monotonic() > deadline:
            raise
        return False


class Cluster:
    """A provider's cluster, and what tests ask of it."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._reads_directly = administrator.has_certificate(provider.kubeconfig)

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        """Run kubectl, patiently; raise KubectlError, with its words, when it fails."""
        return patiently(lambda: self.provider.kubectl(*arguments, input=input, timeout=600), *arguments)

    def get(self, kind: str, name: str, namespace: str) -> Object:
        """Return one object."""
        if self._reads_directly:
            return administrator.get(self.provider.kubeconfig, kind, name, namespace)
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))

    def get_all(self, kinds: str, namespace: str, selector: str = "") -> list[Object]:
        """Return all objects of some kinds."""
        if self._reads_directly:
            return administrator.get_all(self.provider.kubeconfig, kinds, namespace, selector)
        selecting = ["-l", selector] if selector else []
        return json.loads(self.kubectl("get", kinds, "-n", namespace, "-o", "json", *selecting))["items"]

    def get_until(
        self, what: str, kind: str, name: str, namespace: str, holds: Callable[[Object], Any], *, timeout: float = 60
    ) -> Object:
        """Return one object once it is as wanted, as it was seen then: the next look may see that a probe came late."""
        found: Object = {}

        def look() -> Any:
            nonlocal found
            found = self.get(kind, name, namespace)
            return holds(found)

        wait_until(what, look, timeout=timeout, describe=lambda: found.get("status", found))
        return found

    def apply(self, obj: Object, namespace: str) -> None:
        """Apply one manifest."""
        self.kubectl("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(obj))

    def patch(self, kind: str, name: str, namespace: str, change: Object) -> None:
        """Merge a change into an object."""
        self.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(change))

    @contextlib.contextmanager
    def namespace(self, name: str) -> Iterator[None]:
        """Make a namespace in which only `restricted` pods may run; its deletion goes on when the block has ended."""
        install.ensure_namespace(self.provider, name)
        try:
            yield
        finally:
            # Ours first: what they say about their end is waited for. The namespace may go while the next test runs.
            self.kubectl("delete", "mdep,ipfsb", "--all", "-n", name, "--timeout=120s")
            self.kubectl("delete", "namespace", name, "--wait=false")

    def port_forward(self, namespace: str, target: str, port: int) -> contextlib.AbstractContextManager[str]:
        """Forward a free local port; gives its URL."""
        return asking.forwarded(self.provider, namespace, target, port)

    @contextlib.contextmanager
    def watch_condition(self, namespace: str, target: str, kind: str) -> Iterator[list[str]]:
        """Collect each value that a condition takes while the block runs."""
        path = '{range .status.conditions[?(@.type=="' + kind + '")]}{.status}{"\\n"}{end}'
        arguments = ["get", "-n", namespace, target, "--watch", "-o", f"jsonpath={path}"]
        seen: list[str] = []
        with subprocess.Popen(
            Kubectl(self.provider.kubeconfig).command(*arguments), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                seen += process.stdout.readline().split()  # what it is now: the watch has begun
                yield seen
            finally:
                process.terminate()
                seen += process.stdout.read().split()

    def versions(self, kinds: str, namespace: str) -> dict[str, str]:
        """Return the resourceVersion of all objects of some kinds."""
        found = self.get_all(kinds, namespace)
        return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in found}

    def versions_at_rest(self, kinds: str, namespace: str, *, seconds: float = 6.0) -> dict[str, str]:
        """Return what `versions` does, once they have stayed as they are for so long: a change is told in several writes.

        An operator that waits for something, as for a pin, looks every 5 seconds.
        """
        seen, since = self.versions(kinds, namespace), time.monotonic()
        deadline = since + 180
        while time.monotonic() - since < seconds:
            assert time.monotonic() < deadline, f"{kinds} in {namespace} go on changing: {seen}"
            time.sleep(0.25)
            if (now := self.versions(kinds, namespace)) != seen:
                seen, since = now, time.monotonic()
        return seen

    def undisturbed(self, namespace: str, observe: Callable[[], T]) -> T:
        """Return what an observation gives while nothing in the namespace becomes ready or ceases to be; three are tried.

        On a busy machine a probe may be late, and what follows from that is told in every status.
        """
        for _ in range(3):
            before = self._readiness(namespace)
            found = observe()
            after = self._readiness(namespace)
            # What is gone is no excuse.
            if all(after[uid] == since for uid, since in before.items() if uid in after):
                break
            print(f"disturbed, readiness before {before}, after {after}; found {found}")
        return found

    def _readiness(self, namespace: str) -> dict[str, str]:
        """Return when each pod, model and backend that nobody has told to end became ready, or ceased to be.

        The operator's own probe of a pod may be late where the kubelet's is not.
        """
        found = [one for one in self.get_all("pods,mdep,ipfsb", namespace) if "deletionTimestamp" not in one["metadata"]]
        return {one["metadata"]["uid"]: _find(one, "Ready").get("lastTransitionTime", "") for one in found}

    def observe_for(self, *, seconds: float) -> None:
        """Let time pass: what is asserted afterwards is that nothing happened meanwhile."""
        time.sleep(seconds)

    def pod_status(self, namespace: str, pod: str) -> Object:
        """Return a runtime pod's own /status."""
        return json.loads(self.kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/pods/{pod}:8081/proxy/status"))

    def kubo(self, namespace: str, backend: str, *command: str) -> str:
        """Run `ipfs` inside a managed Kubo's pod, with the operator's token."""
        secrets = self.get_all("secrets", namespace, f"pinion.dev/backend={backend}")
        (encoded,) = [secret["data"]["operator-token"] for secret in secrets if "operator-token" in secret["data"]]
        token = base64.b64decode(encoded).decode()
        pod = f"{backend}-kubo-0"
        return self.kubectl("exec", "-n", namespace, pod, "--", "ipfs", f"--api-auth=bearer:{token}", *command)

    def helm_test(self, namespace: str, *settings: str) -> str:
        """Run `helm test` with some values set on top, and return what its pod said; raise HelmError when it failed."""
        where = f"--namespace={install.SYSTEM_NAMESPACE}"
        values = [word for setting in settings for word in ("--set-string", setting)]
        # One that lost its Lease to a stall of the machine has ended, and is restarted.
        install.wait_for_deployment(self.provider, install.SYSTEM_NAMESPACE, "pinion-operator")
        install.helm(self.provider, "upgrade", install.RELEASE, str(install.CHART), where, "--reuse-values", "--wait", *values)
        install.helm(self.provider, "test", install.RELEASE, where, "--timeout=120s")
        return self.kubectl("logs", "-n", namespace, "pinion-operator-test")

    def hub_bytes(self, repo: str) -> int:
        """Return how many bytes of a repository's files the hub mirror has served so far."""
        proxy = f"/api/v1/namespaces/{install.HUB_NAMESPACE}/services/hub:80/proxy/-/stats"
        # A busy machine may take the one pod of the hub from its Service for a moment.
        stats = waiting.wait_until(lambda: json.loads(self.kubectl("get", "--raw", proxy)), "counts of the hub mirror")
        return int(stats["repos"].get(repo, {}).get("bytes", 0))

    def largest_file(self, repo: str) -> int:
        """Return the bytes of the largest file of a repository of the mirror."""
        return max(path.stat().st_size for path in (models_folder() / repo).iterdir() if path.is_file())

    @contextlib.contextmanager
    def slow_hub(self, rate: int) -> Iterator[None]:
        """Let the hub mirror send `rate` bytes per second, all downloads together; its counts begin anew."""
        (container,) = self.get("deploy", "hub", install.HUB_NAMESPACE)["spec"]["template"]["spec"]["containers"]
        self._install_hub(container["image"], rate)
        try:
            yield
        finally:
            self._install_hub(container["image"])

    def _install_hub(self, image: str, rate: int = 0) -> None:
        install.install_hub(self.provider, image, rate=rate)
        wait_until("hub that alone stands behind its Service", self._has_one_hub, timeout=120)

    def _has_one_hub(self) -> bool:
        """Tell whether requests reach the newest hub alone: one that ends is asked for a moment, and has other counts."""
        where = install.HUB_NAMESPACE
        pods = self.get_all("pods", where, "app.kubernetes.io/name=hub-mirror")
        slices = self.get_all("endpointslices", where, "kubernetes.io/service-name=hub")
        behind = [point["targetRef"]["name"] for one in slices for point in one.get("endpoints") or ()]
        return len(pods) == 1 and behind == [pods[0]["metadata"]["name"]]

    def copy_repository(self, repo: str, target: Path) -> Path:
        """Copy the files of a repository of the mirror."""
        return Path(shutil.copytree(models_folder() / repo, target, ignore=shutil.ignore_patterns(".mirror.json")))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Bring up a cluster with everything installed; keep evidence when a test failed; take it down."""
    provider = choose_cluster()
    if provider.is_up() and not os.environ.get("PINION_REUSE_CLUSTER"):
        pytest.fail("a cluster is up, by `make demo` or `python -m devcluster up`: take it down first (`make demo-down`)")
    try:
        provider.up()
        images = build_all(provider, models_folder())
        install.install_hub(provider, images.hub)
        install.install_chart(provider, images)
        yield Cluster(provider)
    finally:
        if request.session.testsfailed and provider.is_up():
            print(f"evidence of what failed: {evidence.collect(provider, 'e2e')}")
        if not os.environ.get("PINION_REUSE_CLUSTER"):
            provider.down()
