"""Where the dev cluster keeps things: one cache folder for what is built once, one state folder for what is running."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """Return the folder of everything that is built or downloaded once (`PINION_CACHE`, else the XDG cache)."""
    if explicit := os.environ.get("PINION_CACHE"):
        return Path(explicit).resolve()
    # Without symbolic links: the kernel's list of mounts knows none, and one cluster has one name.
    return (Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pinion").resolve()


# What runs in a control plane's folder; "server" is etcd's.
CONTROL_PROGRAMS = ("server", "kube-apiserver", "kube-controller-manager", "kubectl")


def control_dir() -> Path:
    """Return the folder of the control planes that tests and people run: one folder each, gone when it stops."""
    return cache_dir() / "control"


def make_private(folder: Path) -> Path:
    """Make a folder that only its owner may enter: keys and kubeconfigs of a cluster lie in it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
