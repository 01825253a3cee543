"""How long threads waited for a processor that they could have used: Linux's Documentation/scheduler/sched-stats."""

from pathlib import Path

TASKS = Path("/proc/self/task")


def run_delays(tasks: Path = TASKS) -> dict[str, int]:
    """Return the nanoseconds that each thread of this process has waited so far, by its id; none where nobody counts them."""
    delays = {}
    for thread in _names(tasks):
        try:
            _, waited, turns = map(int, (tasks / thread / "schedstat").read_bytes().split())
        except (OSError, ValueError):  # it has ended meanwhile, or the kernel has no such file
            continue
        if turns:  # 0: it can't have come here without one, so nobody counts
            delays[thread] = waited
    return delays


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def longest_wait(before: dict[str, int], after: dict[str, int]) -> int:
    """Return the nanoseconds that one thread waited between two looks, the longest of all."""
    return max((delay - before.get(thread, delay) for thread, delay in after.items()), default=0)
