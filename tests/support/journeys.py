"""A model's way from nothing to Ready on a cluster, with parts killed on the way, and what must hold in the end."""

import random
from dataclasses import dataclass, field
from typing import Any

from pinion_contract.status import Phase
from tests.support.cluster import Cluster, condition, serves, wait_until
from tests.support.kills import KILLS, Object, Target
from tests.support.observer import ApiReader, ModelPods, Observer

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
# A machine that stands still for some seconds takes no pod from its Service: what is tried is who loses requests without that.
PATIENT = {"readiness": {"timeoutSeconds": 10, "failureThreshold": 6}}
KILLED_IN = (Phase.FETCHING, Phase.PINNING, Phase.LOADING)
_ORDER = list(Phase)


def kubo_backend(name: str) -> Object:
    """Return a managed Kubo that goes with its namespace."""
    return {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "IpfsBackend",
        "metadata": {"name": name},
        "spec": {"type": "Kubo", "managed": {"storage": {"type": "EmptyDir", "size": "2Gi"}}, "reclaimPolicy": "Delete"},
    }


def minilm(name: str, **spec: Any) -> Object:
    """Return a ModelDeployment of MiniLM."""
    return {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"model": {"source": {"huggingFace": {"repo": MINILM}}}, **spec},
    }


@dataclass(frozen=True)
class Kill:
    """Something that is killed some time after a pod entered a phase; `after` in seconds."""

    what: str
    phase: Phase
    after: float = 0.0


@dataclass
class Journey:
    """What happened on the way."""

    kills: list[str] = field(default_factory=list)
    killed: int = 0  # how many of them did kill
    origin_bytes: int = 0
    cid: str = ""


def random_kill(dice: random.Random) -> Kill:
    """Return anything at any time on the way."""
    return Kill(dice.choice(list(KILLS)), dice.choice(KILLED_IN), dice.random() * 3)


def travel(cluster: Cluster, namespace: str, name: str, kills: list[Kill]) -> Journey:
    """Serve MiniLM with one replica, kill on the way, and check what is there in the end; kills come in the order of phases.

    What is killed when it is not there (an engine before anything is loaded) is told as such, and is no failure; nor is a
    kill whose time comes when the way is over.
    """
    target, journey = Target(cluster, namespace, name), Journey()
    before, largest, reader = cluster.hub_bytes(MINILM), cluster.largest_file(MINILM), ApiReader(cluster.provider.kubeconfig)
    pods = ModelPods(reader, namespace, name)
    with Observer(pods.look, pods.ask) as observer:
        cluster.apply(minilm(name), namespace)
        lost = sum(_kill(target, kill, journey) for kill in kills)
        wait_until("model that serves", target.settled, timeout=300, describe=target.model)
        cluster.observe_for(seconds=2)
    reader.close()
    assert observer.moments == [], f"{journey.kills}: {observer.moments[:5]}"
    found = cluster.get_until("one that serves", "mdep", name, namespace, lambda model: serves(model, 1))["status"]["model"]
    journey.cid, journey.origin_bytes = found["cid"], cluster.hub_bytes(MINILM) - before
    most = found["sizeBytes"] + lost * largest
    assert journey.origin_bytes <= most, f"{journey.kills}: {journey.origin_bytes} bytes of the origin, needed {most}"
    # It may serve before it is pinned: the backend was away, and the next try comes within half a minute.
    wait_until("pin", lambda: condition(target.model(), "ArtifactPinned")[0] == "True", timeout=120, describe=target.model)

    def pins() -> list[str]:  # not to be had while Kubo, which was killed after the pin, starts again
        return cluster.kubo(namespace, target.backend, "pin", "ls", "--type=recursive", "-q").split()

    wait_until("pin in Kubo", lambda: journey.cid in pins(), timeout=60)
    children = cluster.get_all("rs,controllerrevisions,pods", namespace, f"pinion.dev/deployment={name}")
    kinds = sorted(child["kind"] for child in children)
    assert kinds == ["ControllerRevision", "Pod", "ReplicaSet"], f"{journey.kills}: something is there twice: {kinds}"
    return journey


def _kill(target: Target, kill: Kill, journey: Journey) -> bool:
    """Wait for the phase, or one behind it, and kill; return whether bytes on their way may have been lost with it."""
    entered = _wait_for_phase(target, kill.phase)
    target.cluster.observe_for(seconds=kill.after)
    pod = next(iter(target.pods()), None)
    phase = target.phase(pod["metadata"]["name"]) if pod else ""
    # What serves may be asked, and a request that fails then is no fault. The phase took kubectl a moment, or was not told.
    if pod and (phase == Phase.READY or condition(_again(target, pod), "Ready")[0] == "True"):
        journey.kills.append(f"{kill.what} too late {kill.after:.1f} s after {entered}")
        return False
    try:
        KILLS[kill.what](target)
    except AssertionError as nobody:
        journey.kills.append(f"{kill.what} not there {kill.after:.1f} s after {entered} ({nobody})"[:200])
        return False
    journey.killed += 1
    journey.kills.append(f"{kill.what} {kill.after:.1f} s after {entered}, in {phase or 'no phase'}")
    return kill.what == "the front" and (not phase or _ORDER.index(Phase(phase)) <= _ORDER.index(Phase.FETCHING))


def _again(target: Target, pod: Object) -> Object:
    return target.cluster.get("pod", pod["metadata"]["name"], target.namespace)


def _wait_for_phase(target: Target, phase: Phase) -> str:
    seen = ""

    def reached() -> bool:
        nonlocal seen
        seen = next((target.phase(pod["metadata"]["name"]) for pod in target.pods()), "")
        return bool(seen) and _ORDER.index(Phase(seen)) >= _ORDER.index(phase)

    wait_until(f"pod in {phase}", reached, timeout=180, describe=lambda: [seen, target.model()])
    return seen
