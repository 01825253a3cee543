"""What a pod asks the scheduler for where the user says nothing: CPU and memory from the size of the model.

Measured (MiniLM to BERT-large, float32): 500 to 650 MiB of the processes' own memory at the peak of a start, whatever the size,
and the weights beside it, which stay mapped from the store. Limits are never made up.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...api.quantities import Resources
from ...resources.kinds import Object
from .limit_ranges import fit_to_namespace

MIB, GIB = 1024**2, 1024**3

BASE_BYTES = 768 * MIB  # server, engine and libraries, with some air
PER_BYTE = {"float32": 2.2}  # of the checkpoint, where its numbers may have to grow: half of the checkpoints have 16 bits
PER_BYTE_AS_IT_IS = 1.1
STEP_BYTES = 64 * MIB
CPU = ((GIB, "250m"), (4 * GIB, "500m"))  # a request for models smaller than this
CPU_OF_LARGE = "1"


def sized_resources(said: Resources, total_bytes: int, dtype: str, limit_ranges: Sequence[Object]) -> dict[str, Any]:
    """Return the container's resources: as said, with a request for CPU and for memory where nothing is said of it.

    Of what has a limit and no request, Kubernetes itself requests the limit.
    """
    named = said.requests.keys() | said.limits.keys()
    wanted = fit_to_namespace(_requests(total_bytes, dtype), limit_ranges)
    defaults = {name: value for name, value in wanted.items() if name not in named}
    resources = said.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if defaults:
        resources["requests"] = {**defaults, **said.requests}
    return resources


def effective_resources(container: Mapping[str, Any]) -> dict[str, dict[str, int | str]]:
    """Return requests and limits of a container as the scheduler and the kubelet take them."""
    resources = container.get("resources") or {}
    limits = dict(resources.get("limits") or {})
    return {"requests": {**limits, **(resources.get("requests") or {})}, "limits": limits}


def _requests(total_bytes: int, dtype: str) -> dict[str, str]:
    needed = BASE_BYTES + total_bytes * PER_BYTE.get(dtype, PER_BYTE_AS_IT_IS)
    steps = -(-int(needed) // STEP_BYTES)
    cpu = next((cpu for below, cpu in CPU if total_bytes < below), CPU_OF_LARGE)
    return {"cpu": cpu, "memory": f"{steps * STEP_BYTES // MIB}Mi"}
