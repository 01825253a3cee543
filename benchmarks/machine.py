"""What the figures were taken on: the machine in words, and how much of it somebody else used meanwhile."""

import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

# What decides about hashing and matrix products.
_FLAGS = ("sha_ni", "avx2", "avx512f", "avx512_bf16", "amx_bf16")
_PACKAGES = ("torch", "transformers", "sentence-transformers")


def describe() -> str:
    """Return the processor, memory, kernel and versions, in a few lines."""
    cpu = _cpu()
    flags = [flag for flag in _FLAGS if flag in cpu.get("flags", "").split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"machine: {os.cpu_count()} x {cpu.get('model name', platform.machine())} ({', '.join(flags) or 'no flag of note'}), "
        f"{memory:.0f} GiB, {platform.system()} {platform.release()}\n"
        f"software: Python {platform.python_version()}, {packages}"
    )


@dataclass
class ForeignLoad:
    """CPU time of other programs, as a share of all that the machine had."""

    share: float = 0.0


@contextmanager
def foreign_load() -> Iterator[ForeignLoad]:
    """Measure how busy other programs kept the machine while the block ran; our ended children count as ours."""
    load = ForeignLoad()
    busy, total, ours = *_machine_ticks(), _our_ticks()
    yield load
    busy_after, total_after, ours_after = *_machine_ticks(), _our_ticks()
    load.share = max(0.0, (busy_after - busy) - (ours_after - ours)) / max(1.0, total_after - total)


def _machine_ticks() -> tuple[float, float]:
    fields = [float(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


def _our_ticks() -> float:
    used = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        used += usage.ru_utime + usage.ru_stime
    return used * os.sysconf("SC_CLK_TCK")


def _cpu() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
