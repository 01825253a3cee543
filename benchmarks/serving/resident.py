"""Resident memory of a process, where it is, and whether it grew while requests were answered."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

REQUESTS = 10_000
GROWTH = 0.05  # of what it held at rest after the first quarter of the requests
_CUDA = ("libcu", "libnv", "libtorch_cuda", "libnccl", "/cuda/", "libtriton")


def resident(pid: int) -> float:
    """Return MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) / 256


def growth_of(held: Sequence[float]) -> str:
    """Say how much of what was held at rest after each quarter came after the first one, beside the limit."""
    growth = max(held) / held[0] - 1
    verdict = "kept" if max(held) <= held[0] * (1 + GROWTH) else "not kept"
    return f"growth {growth:+.1%}, limit {GROWTH:.0%}: {verdict}; ratio to the limit {growth / GROWTH:.2f}"


def parts(pid: int) -> Counter[str]:
    """Return MiB of memory of the process's own, of weights mapped from their file, and of libraries."""
    found: Counter[str] = Counter()
    name, held = "", 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            name = fields[5] if len(fields) > 5 else ""
        elif fields[0] == "Rss:":
            held = int(fields[1])
        elif fields[0] == "Anonymous:":
            own = int(fields[1])
            found["of its own"] += own / 1024
            kind = (
                "weights" if name.endswith(".safetensors") else "CUDA" if any(part in name for part in _CUDA) else "libraries"
            )
            found[kind] += (held - own) / 1024
    return found
