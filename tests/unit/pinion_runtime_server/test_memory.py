"""Memory of a real process tree, and cgroup files of both versions laid out as the kernel does."""

import subprocess
import sys
from pathlib import Path

import pytest

from pinion_runtime.engines.memory_limit import available_memory, cgroup_limit
from pinion_runtime.pod.memory import measure, tree

MEBIBYTE = 1 << 20
NO_LIMIT = "9223372036854771712\n"  # how v1 says so


def test_children_and_their_memory_are_counted() -> None:
    program = f"data = bytearray(b'x') * {64 * MEBIBYTE}; print('up', flush=True); input()"
    # A shell that waits for it, because the tree of these tests changes by itself: what others started ends in the meantime.
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in tree()
        use = measure(child.pid)
        assert measure().cpu_seconds > 0
        child.communicate(b"\n")
    assert use.processes == 2
    assert 64 * MEBIBYTE <= use.resident_bytes < 128 * MEBIBYTE


def test_a_process_that_has_gone_counts_as_nothing(tmp_path: Path) -> None:
    use = measure(root=4242, proc=tmp_path)
    assert (use.resident_bytes, use.cpu_seconds) == (0, 0.0)


def lay_out(folder: Path, cgroup: str, limits: dict[str, str]) -> tuple[Path, Path]:
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(cgroup)
    for path, text in limits.items():
        target = folder / "cgroup" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder / "proc", folder / "cgroup"


@pytest.mark.parametrize(
    ("cgroup", "limits", "expected"),
    [
        pytest.param("0::/\n", {"memory.max": "536870912\n"}, 536870912, id="v2 in a container"),
        pytest.param("0::/\n", {"memory.max": "max\n"}, 0, id="v2 without a limit"),
        pytest.param("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "1024\n"}, 1024, id="v2 limit of the parent"),
        pytest.param("0::/../../pod\n", {"memory.max": "2048\n"}, 2048, id="v2 path of the host"),
        pytest.param("4:memory:/kubepods/x\n", {"memory/memory.limit_in_bytes": "4096\n"}, 4096, id="v1 in a container"),
        pytest.param(
            "4:memory:/k\n0::/\n",
            {
                "memory/k/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            0,
            id="v1 without a limit",
        ),
        pytest.param("", {}, 0, id="no cgroups"),
    ],
)
def test_the_limit_of_the_cgroup(tmp_path: Path, cgroup: str, limits: dict[str, str], expected: int) -> None:
    assert cgroup_limit(*lay_out(tmp_path, cgroup, limits)) == expected


@pytest.mark.parametrize(
    ("limit", "resident", "expected"),
    [
        pytest.param("max\n", 100, 4096, id="no limit: what the machine has left"),
        pytest.param("3000\n", 1000, 2000, id="what the limit leaves"),
        pytest.param("999999\n", 1000, 4096, id="a limit above what the machine has"),
        pytest.param("3000\n", 5000, 0, id="over the limit already"),
    ],
)
def test_how_much_more_memory_there_is(tmp_path: Path, limit: str, resident: int, expected: int) -> None:
    proc, root = lay_out(tmp_path, "0::/\n", {"memory.max": limit})
    (proc / "meminfo").write_text("MemTotal:       16 kB\nMemAvailable:       4 kB\n")
    assert available_memory(resident, proc, root) == expected
