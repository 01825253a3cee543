"""Processes inside pods of a cluster whose node is this machine: found by the pod's control group, killed like any other."""

import signal
from pathlib import Path

from devcluster.processes import Process, all_processes, terminate

FRONT = "pinion_runtime --config"
ENGINE = "pinion_runtime.engines.worker"
CONTENT = "pinion_ipfs serve"
OPERATOR = "-m pinion_operator"
KUBO = "ipfs daemon"
_INIT = "dumb-init"  # its own command line holds that of what it starts


def processes_of(pod_uid: str, words: str) -> list[Process]:
    """Return the processes of a pod whose command line holds these words, the init aside."""
    return [process for process in all_processes() if _in_pod(process, pod_uid) and _runs(process.arguments, words)]


def kill(pod_uid: str, words: str) -> Process:
    """Kill the one such process at once and wait until it is gone; AssertionError when there is none or several."""
    found = processes_of(pod_uid, words)
    assert len(found) == 1, f"{len(found)} processes of pod {pod_uid} run `{words}`: {[p.arguments for p in found]}"
    found[0].kill(signal.SIGKILL)
    terminate(found)
    return found[0]


def _runs(arguments: list[str], words: str) -> bool:
    return words in " ".join(arguments) and Path(arguments[0]).name != _INIT


def _in_pod(process: Process, pod_uid: str) -> bool:
    try:
        groups = Path(f"/proc/{process.pid}/cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return f"pod{pod_uid}" in groups
