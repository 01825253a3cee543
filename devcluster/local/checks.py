"""What must be true of a machine before the cluster starts; each refusal names what is in the way."""

import ipaddress
import json
import os
import shutil
import sys
from pathlib import Path

from ..commands import run
from ..errors import DevClusterError
from ..slots import is_free
from .layout import BRIDGE, LOOPBACK_PORTS, RANGES, Layout

GIB = 1 << 30


class MachineError(DevClusterError):
    """This machine cannot carry the cluster as it is; the message says what to change."""


def check_user() -> None:
    """Refuse anything but root on Linux."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise MachineError("the local cluster needs root on Linux: containers, a bridge and mounts are made")


def check_machine(layout: Layout) -> None:
    """Refuse a machine with too little disk, occupied ports or overlapping routes."""
    _check_disk(layout)
    _check_ports()
    _check_routes()


def _check_disk(layout: Layout) -> None:
    # Images and builder caches take about 22 GiB: torch lies in the package cache, in the builder, as a layer, and unpacked.
    need = 10 if any((layout.containerd / "io.containerd.snapshotter.v1.overlayfs").glob("snapshots/*")) else 30
    folder = next(parent for parent in (layout.root, *layout.root.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < need * GIB:
        raise MachineError(
            f"{folder} has {free / GIB:.1f} GiB free and the cluster needs {need}: free some "
            "(`python -m devcluster clean-cache` deletes what was built), or let PINION_CACHE name a folder elsewhere"
        )
    if len(str(layout.state)) > 60:
        raise MachineError(f"{layout.root} is too long a path for the kubelet's sockets: name a shorter one with PINION_CACHE")


def _check_ports() -> None:
    if taken := [f"{port} ({name})" for port, name in LOOPBACK_PORTS.items() if not is_free(port)]:
        raise MachineError(f"these ports of 127.0.0.1 are in use by other programs: {', '.join(taken)}")


def _check_routes() -> None:
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all")):
        if route["dst"] == "default" or route.get("dev") == BRIDGE:
            continue
        network = ipaddress.ip_network(route["dst"], strict=False)
        if network.prefixlen and any(network.overlaps(ours) for ours in RANGES):
            ours = next(str(mine) for mine in RANGES if network.overlaps(mine))
            raise MachineError(f"the route to {network} over {route.get('dev', 'no device')} overlaps the cluster's {ours}")


def free_memory() -> int:
    """Return the bytes that could be used without swapping."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024
