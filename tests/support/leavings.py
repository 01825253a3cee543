"""What a cluster can leave on a machine, as far as one can see it from outside."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devcluster.local.layout import Layout
from devcluster.processes import all_processes

SANDBOX = "sandbox-"  # the beginning of the name of a control group of tests

# Counters and caches of the kernel that move by themselves.
_MOVING = (
    "random",
    "state",
    "nr",
    "count",
    "pid",
    "sched_domain",
    "quota",
    "rss",
    "perf_cpu",
    "perf_event_max",
    "route",
    "cpu_byte_limit",
)


def leavings() -> dict[str, list[str]]:
    """Return mounts, links, routes, tables, namespaces, control groups, sysctls, daemons and folders, each sorted.

    Half of it `ip` and `nft` tell, which a new machine lacks: `ensure_packages` first.
    """
    layout = Layout.default()
    return {
        "mounts": sorted(line for line in Path("/proc/mounts").read_text().splitlines() if not _is_temporary(line.split()[1])),
        "links": sorted(link["ifname"] for link in _json("ip", "-json", "link", "show")),
        "addresses": sorted(info["local"] for link in _json("ip", "-json", "address") for info in link["addr_info"]),
        "routes": sorted(_output("ip", "-4", "route", "show", "table", "all").splitlines()),
        "tables": sorted(_output("nft", "list", "tables").splitlines()),
        "namespaces": _names(Path("/run/netns")),
        "groups": sorted(_groups()),
        "sysctls": sorted(_sysctls()),
        "processes": sorted(
            " ".join(process.arguments) for process in all_processes() if any(str(layout.root) in a for a in process.arguments)
        ),
        "folders": [
            path
            for path in (
                "/run/pinion",
                "/run/containerd",
                "/run/netns",
                "/var/lib/kubelet",
                "/var/lib/cni",
                "/var/log/containers",
            )
            if Path(path).exists()
        ],
        "state": _names(layout.state),
    }


def _is_temporary(mount_point: str) -> bool:
    # Tests that run beside mount small volumes there; the cluster never does.
    return Path(mount_point).is_relative_to(tempfile.gettempdir())


def _groups() -> Iterator[str]:
    for parent, names, _ in os.walk("/sys/fs/cgroup"):  # unlike rglob it does not mind that one is gone
        # Nor does it make groups in those that tests have of their own.
        names[:] = [name for name in names if not name.startswith(SANDBOX)]
        yield from (f"{parent}/{name}" for name in names if "pinion" in name)


def _sysctls() -> list[str]:
    lines = _output("sysctl", "--all", "--ignore").splitlines()
    return [line for line in lines if not any(word in line.partition(" ")[0] for word in _MOVING)]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _output(*argv: str) -> str:
    # sysctl complains about keys that even root may not read: its exit status says nothing.
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=argv[0] != "sysctl").stdout


def _json(*argv: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(_output(*argv))
    return answer
