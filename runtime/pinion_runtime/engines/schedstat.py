"""How long threads waited for a processor that they could have used: Linux's Documentation/scheduler/sched-stats."""

from pathlib import Path

TASKS = Path("/proc/self/task")


def run_delays(tasks: Path = TASKS) -> dict[str, int]:
    """Return the nanoseconds that each thread of this process has waited so far, by its id; none where nobody counts them."""
    delays = {}
    try:
        for task in tasks.iterdir():
            delays[task.name] = int((task / "schedstat").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):  # a thread that has ended meanwhile, or a kernel without these counts
        return delays
    return delays


def longest_wait(before: dict[str, int], after: dict[str, int]) -> int:
    """Return the nanoseconds that one thread waited between two looks, the longest of all."""
    return max((delay - before.get(thread, delay) for thread, delay in after.items()), default=0)
