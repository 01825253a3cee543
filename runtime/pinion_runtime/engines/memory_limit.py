"""How much memory this process may use: the limits of its cgroup, and what the machine has left."""

from pathlib import Path

_PROC = Path("/proc")
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_V1_NO_LIMIT = 1 << 60  # v1 says "none" with the largest multiple of a page


def cgroup_limit(proc: Path = _PROC, root: Path = _CGROUP_ROOT) -> int:
    """Return the memory limit in bytes that this process runs under, the least of its cgroup and those above; 0 = none."""
    limits: list[int] = []
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits += _limits_upwards(root, path, "memory.max") or _limits_upwards(root / "unified", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits_upwards(root / "memory", path, "memory.limit_in_bytes")
    return min(limits, default=0)


def _limits_upwards(root: Path, path: str, name: str) -> list[int]:
    # In a container the path may be the host's, which does not exist here: the root then is the container's own cgroup.
    folder = root / path.lstrip("/")
    limits: list[int] = []
    for candidate in (folder, *folder.parents):
        text = _text(candidate / name).strip()
        if text.isdecimal() and int(text) < _V1_NO_LIMIT:
            limits.append(int(text))
        if candidate == root:
            break
    return limits


def available_memory(resident_bytes: int, proc: Path = _PROC, root: Path = _CGROUP_ROOT) -> int:
    """Return how many bytes more this process may use, which has `resident_bytes` now; at least 0."""
    limit = cgroup_limit(proc, root)
    free = 1024 * next(
        (int(line.split()[1]) for line in _text(proc / "meminfo").splitlines() if line.startswith("MemAvailable:")), 0
    )
    return max(0, min(free, limit - resident_bytes) if limit else free)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
