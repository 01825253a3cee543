"""What of an engine's mappings may be let go of, when free memory is given back, and what is not imported."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pinion_runtime.engines.resident import TRIM_SECONDS, Trim, read_mappings, settle, unwritten_mappings


def mapping(span: str, permissions: str, name: str, resident_kib: int, anonymous_kib: int) -> str:
    return (
        f"{span} {permissions} 00000000 fe:01 1234    {name}\n"
        f"Size: {resident_kib + 4} kB\nRss:                {resident_kib} kB\nPss: 1 kB\n"
        f"Anonymous:          {anonymous_kib} kB\nVmFlags: rd ex mr\n"
    )


@pytest.mark.parametrize(
    ("permissions", "name", "resident_kib", "anonymous_kib", "found"),
    [
        ("r-xp", "/opt/lib/libtorch_cpu.so", 90_000, 0, True),
        ("r--p", "/opt/lib/libcublasLt.so.13", 2_000, 0, True),
        ("r--p", "/opt/lib/libtorch_cpu.so", 2_000, 4, False),  # relocated when it was loaded: it exists here alone
        ("rw-p", "/opt/lib/libtorch_cpu.so", 2_000, 0, False),
        ("r-xp", "/opt/lib/libsmall.so", 124, 0, False),
        ("r--p", "/models/model.safetensors", 90_000, 0, False),  # weights are read again with every batch
        ("r-xp", "/opt/lib.so/program", 90_000, 0, False),
        ("rw-p", "[heap]", 90_000, 90_000, False),
    ],
)
def test_which_mappings_are_let_go_of(permissions: str, name: str, resident_kib: int, anonymous_kib: int, found: bool) -> None:
    around = mapping("7f00-7f10", "rw-p", "", 5_000, 5_000)
    smaps = around + mapping("7f0000100000-7f0000200000", permissions, name, resident_kib, anonymous_kib) + around
    assert unwritten_mappings(read_mappings(smaps)) == ([(0x7F0000100000, 0x7F0000200000)] if found else [])


def test_a_process_goes_on_after_it_has_settled() -> None:
    """In a process of its own: the interpreter's own code is among what is let go of."""
    program = (
        "import numpy, re\n"
        "from pinion_runtime.engines.resident import read_mappings, settle, unwritten_mappings\n"
        "count = lambda: len(unwritten_mappings(read_mappings(open('/proc/self/smaps').read())))\n"
        "before = count()\n"
        "settle()\n"
        "after = count()\n"
        "assert numpy.linalg.norm(numpy.ones((9, 9)) @ numpy.ones(9)) == 27.0\n"
        "print(before > after)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "True"


def test_the_collector_waits_for_imports_and_for_nothing_else() -> None:
    """In a process of its own: what has been frozen once is not collected."""
    program = (
        "import gc, weakref\n"
        "from pinion_runtime.engines.resident import imports, settle\n"
        "class Cycle: pass\n"
        "def cycle():\n"
        "    made = Cycle()\n"
        "    made.itself = made\n"
        "    return weakref.ref(made)\n"
        "with imports():\n"
        "    left, states = cycle(), [gc.isenabled()]\n"
        "states += [gc.isenabled(), gc.get_freeze_count() > 0, left() is None]\n"
        "settle()\n"
        "print(*states, gc.isenabled(), gc.get_freeze_count() > 0, left() is None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True", "True", "False", "True", "True", "True"]


def test_where_nothing_is_known_of_the_mappings(tmp_path: Path) -> None:
    (tmp_path / "smaps").write_text("")
    settle(tmp_path / "smaps")


def test_an_engine_gives_memory_back_while_it_works_and_once_at_rest() -> None:
    times: list[tuple[str, float]] = []
    now = 100.0
    trim = Trim(lambda: times.append(("trim", now)), lambda: times.append(("rest", now)), lambda: now)
    assert trim.seconds_left() is None  # nothing was used: it may wait for ever
    trim.after_work()
    assert trim.seconds_left() == TRIM_SECONDS
    now += TRIM_SECONDS / 2
    trim.perhaps()
    assert (times, trim.seconds_left()) == ([], TRIM_SECONDS / 2)
    now += TRIM_SECONDS / 2
    trim.perhaps()
    trim.perhaps()
    assert times == [("rest", 110.0)]
    assert trim.seconds_left() is None
    now += 3 * TRIM_SECONDS
    trim.after_work()  # long enough ago: at once
    assert times[1:] == [("trim", 140.0)]
    assert trim.seconds_left() == TRIM_SECONDS  # and it will rest
    trim.after_work()
    assert len(times) == 2
    now += TRIM_SECONDS
    trim.perhaps()
    assert times[2:] == [("rest", 150.0)]
    assert trim.seconds_left() is None


@pytest.mark.parametrize(
    ("devices", "left"), [("()", set()), ("('/dev/null',)", {"triton", "cuda"})], ids=["cpu", "accelerator"]
)
def test_what_an_engine_has_no_use_for_is_not_imported(devices: str, left: set[str]) -> None:
    program = (
        "from importlib.util import find_spec\n"
        "from pinion_runtime.engines.resident import do_without_unused_packages\n"
        "there = {name for name in ('scipy', 'triton', 'cuda', 'numpy') if find_spec(name)}\n"
        f"do_without_unused_packages({devices})\n"
        "print(*(there - {name for name in there if find_spec(name)}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) == {name for name in ("scipy", "triton", "cuda") if find_spec(name)} - left
