"""The environment variables of the engine process: libraries read them when they are imported."""

from collections.abc import Mapping

# Threads of OpenMP that spin at a barrier take the CPU from those they wait for, and from the front: with other work on
# 2 CPUs a short text took 73 ms so, and 20 ms with threads that sleep. To be woken costs more than a short wait, though: with
# 1000 turns (of GNU's library) a text alone is done a tenth sooner on a quiet machine, and a sixth later beside other work.
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
# What is loaded lies in the verified folder: nothing may reach for the network.
_NO_NETWORK = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def engine_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return what an engine gets, given the front's own; how threads wait is ours to say only where nobody else has."""
    said = any(name in own for name in _WAITING)  # a count outweighs a policy, so that half of ours would change theirs
    return {**({} if said else _WAITING), **own, **_NO_NETWORK}
