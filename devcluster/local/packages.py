"""The Debian packages of a node: named with the reason, then installed; nothing is ever removed for them."""

import os
import shutil
import subprocess
from pathlib import Path

from ..commands import attempt, run
from ..errors import DevClusterError
from ..locks import locked

# package: the file that shows it is there, and why a node needs it
PACKAGES = {
    "containerd": ("/usr/bin/containerd", "runs containers"),
    "runc": ("/usr/sbin/runc", "starts a container for containerd"),
    "containernetworking-plugins": ("/usr/lib/cni/ptp", "gives pods their network"),
    "mmdebstrap": ("/usr/bin/mmdebstrap", "makes the base image from Debian packages, without a registry"),
    "nftables": ("/usr/sbin/nft", "Services, and the guard that keeps traffic of pods on this machine"),
    "iptables": ("/usr/sbin/iptables", "asks about new connections where the kernel's nftables cannot"),
    "conntrack": ("/usr/sbin/conntrack", "kube-proxy needs it to forget connections to pods that are gone"),
    "iproute2": ("/usr/sbin/ip", "the node's own bridge"),
}


_LOCK = Path("/run/pinion-packages.lock")


class PackageError(DevClusterError):
    """Packages are missing and cannot be installed; the message says what to do."""


def ensure_packages() -> None:
    """Install what is missing, with a line for each; raise PackageError when this machine or user cannot."""
    if _missing():
        with locked(_LOCK):  # whoever waits finds them installed: apt-get gives up at once where another is at work
            _install(_missing())


def _missing() -> list[str]:
    return [name for name, (file, _) in PACKAGES.items() if not _is_there(file)]


def _install(missing: list[str]) -> None:
    if not missing:
        return
    for name in missing:
        print(f"installing {name}: {PACKAGES[name][1]}", flush=True)
    if shutil.which("apt-get") is None:
        raise PackageError(f"the local cluster needs a Debian-like Linux, or these packages by hand: {', '.join(missing)}")
    containerd_is_new = "containerd" in missing
    _apt_get("update", "--quiet=2")
    # Debian's runc would evict Docker's containerd.io: --no-remove makes that a failure, not a surprise.
    _apt_get("install", "--quiet=2", "--yes", "--no-remove", "--no-install-recommends", *missing)
    if containerd_is_new and Path("/run/systemd/system").is_dir():
        # The cluster has a containerd of its own; the package starts one for the whole system.
        attempt("systemctl", "disable", "--now", "containerd.service")


def _is_there(file: str) -> bool:
    # On machines with a merged /usr, /sbin and /usr/sbin are one; on others the package may use either.
    return Path(file).exists() or Path(file.removeprefix("/usr")).exists()


def _apt_get(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            ["apt-get", *arguments], env=environment, capture_output=True, text=True, timeout=900, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"`apt-get {arguments[0]}` did not end within {error.timeout:.0f} s") from None
    if done.returncode:
        raise PackageError(f"`apt-get {' '.join(arguments)}` failed:\n{done.stderr.strip()}")


def architecture() -> str:
    """Return the architecture in the words of images: amd64, arm64."""
    return run("dpkg", "--print-architecture").strip()
