"""Parts of a deployment that are killed at once, by what they are: processes in pods, and the node's own daemons."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devcluster.kubectl import KubectlError
from devcluster.local.cluster import LocalCluster
from tests.support.cluster import Cluster, condition
from tests.support.pod_processes import CONTENT, ENGINE, FRONT, KUBO, OPERATOR, kill, processes_of

Object = dict[str, Any]
Back = Callable[[], bool]  # whether what was killed runs again, and everybody knows


@dataclass(frozen=True)
class Target:
    """A ModelDeployment with a managed Kubo in one namespace, on a cluster whose node is this machine."""

    cluster: Cluster
    namespace: str
    name: str
    backend: str = "ipfs"

    def model(self) -> Object:
        """Return the ModelDeployment."""
        return self.cluster.get("mdep", self.name, self.namespace)

    def all_pods(self) -> list[Object]:
        """Return the pods, with those that have been told to go and are not gone."""
        return self.cluster.get_all("pods", self.namespace, f"pinion.dev/deployment={self.name}")

    def pods(self) -> list[Object]:
        """Return the pods that nobody has told to go."""
        return [pod for pod in self.all_pods() if "deletionTimestamp" not in pod["metadata"]]

    def phase(self, pod: str) -> str:
        """Return the phase that a pod tells; "" while it tells none."""
        try:
            return str(self.cluster.pod_status(self.namespace, pod)["phase"])
        except KubectlError:
            return ""

    def settled(self) -> bool:
        """Return whether the status is about this spec, and says that all of it serves and nothing goes on."""
        found = self.model()
        status = found.get("status", {})
        wanted = found["spec"].get("replicas", 1)
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and condition(found, "Ready") == ("True", "Serving")
            and not condition(found, "Reconciling")[0]
            and status.get("ready") == f"{wanted}/{wanted}"
        )


def kill_front(target: Target) -> Back:
    """Kill the main process of a runtime pod."""
    return _kill_container(target, target.namespace, target.pods()[0], FRONT)


def kill_kubo(target: Target) -> Back:
    """Kill the backend's daemon."""
    pod = target.cluster.get("pod", f"{target.backend}-kubo-0", target.namespace)
    return _kill_container(target, target.namespace, pod, KUBO)


def kill_operator(target: Target) -> Back:
    """Kill the operator."""
    (pod,) = target.cluster.get_all("pods", "pinion-system", "app.kubernetes.io/name=pinion-operator")
    return _kill_container(target, "pinion-system", pod, OPERATOR)


def kill_engine(target: Target) -> Back:
    """Kill a runtime pod's engine; its front starts another."""
    return _kill_child(target, ENGINE)


def kill_content_server(target: Target) -> Back:
    """Kill a runtime pod's content server; its front starts another."""
    return _kill_child(target, CONTENT)


def kill_kubelet(target: Target) -> Back:
    """Kill the node's kubelet; whoever brought up the cluster starts another."""
    return _crash_node(target, "kubelet")


def kill_containerd(target: Target) -> Back:
    """Kill the node's containerd; the containers live on."""
    return _crash_node(target, "containerd")


KILLS: dict[str, Callable[[Target], Back]] = {
    "the front": kill_front,
    "the engine": kill_engine,
    "the content server": kill_content_server,
    "Kubo": kill_kubo,
    "the operator": kill_operator,
    "the kubelet": kill_kubelet,
    "containerd": kill_containerd,
}


def _kill_container(target: Target, namespace: str, pod: Object, words: str) -> Back:
    """Kill a container's main process; it is back once the kubelet says that it was restarted and its probes pass again."""
    name, before = pod["metadata"]["name"], _restarts(pod)
    kill(pod["metadata"]["uid"], words)

    def back() -> bool:
        found = target.cluster.get("pod", name, namespace)
        return _restarts(found) > before and condition(found, "Ready")[0] == "True"

    return back


def _kill_child(target: Target, words: str) -> Back:
    """Kill a child of a pod's front: the container lives on."""
    pod = target.pods()[0]
    killed = kill(pod["metadata"]["uid"], words)

    def back() -> bool:
        now = processes_of(pod["metadata"]["uid"], words)
        return len(now) == 1 and now[0] != killed and target.phase(pod["metadata"]["name"]) == "Ready"

    return back


def _crash_node(target: Target, daemon: str) -> Back:
    provider = target.cluster.provider
    assert isinstance(provider, LocalCluster), "the node's daemons are within reach on the built-in cluster only"
    provider.crash(daemon)
    return provider.is_up


def _restarts(pod: Object) -> int:
    return sum(container["restartCount"] for container in pod["status"].get("containerStatuses", []))
