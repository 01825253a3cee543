"""The environment variables of the engine process: libraries read them when they are imported."""

from collections.abc import Mapping

from ..model.task import Task

_NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
# Threads of OpenMP that spin at a barrier take the CPU from those they wait for, and from the front: with other work on
# 2 CPUs a short text took 73 ms so, and 20 ms with threads that sleep. To be woken costs more than a short wait, though: with
# 1000 turns (of GNU's library) a text alone is done a tenth sooner on a quiet machine, and a sixth later beside other work.
_SLEEPING = dict(zip(_NAMES, ("PASSIVE", "1000"), strict=True))
# A pass that generates has dozens of short products: with threads that spin from one to the next it takes two thirds of the
# time. Beside other work it would take several times as long: where threads wait for processors, fewer of them compute
# (thread_count.py), which is seen only where the kernel counts how long they wait.
_SPINNING = dict(zip(_NAMES, ("PASSIVE", "100000"), strict=True))
# What is loaded lies in the verified folder: nothing may reach for the network.
_NO_NETWORK = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def engine_environment(own: Mapping[str, str], task: Task, *, counts_waits: bool) -> dict[str, str]:
    """Return what an engine gets, given the front's own; how threads wait is ours to say only where nobody else has.

    `counts_waits` tells whether the kernel counts how long threads wait for a processor.
    """
    said = any(name in own for name in _NAMES)  # a count outweighs a policy, so that half of ours would change theirs
    waiting = _SPINNING if task == "text-generation" and counts_waits else _SLEEPING
    return {**({} if said else waiting), **own, **_NO_NETWORK}
