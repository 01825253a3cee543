"""How many CPUs this process may really use: affinity and the cgroup's quota, not what the machine has."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Return at least 1; a quota of 1.5 CPUs counts as 2."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return max(1, min(allowed, math.ceil(quota)) if quota else allowed)


def _quota(cgroup: Path) -> float:
    """Return the CPUs of cpu.max (v2) or cpu.cfs_quota_us (v1); 0 = no limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return 0.0
    try:
        return max(0.0, int(quota) / int(period))  # "max" in v2 and -1 in v1 stand for no limit
    except ValueError:
        return 0.0


def oom_kills(cgroup: Path = CGROUP) -> int:
    """Return how often the kernel killed a process of this cgroup for memory; 0 where that can't be read."""
    for name in ("memory.events", "memory/memory.oom_control"):
        try:
            lines = (cgroup / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
    return 0
