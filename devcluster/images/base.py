"""The base image of all others, from the machine's own Debian packages: Python, pip and certificates, nothing else."""

import platform
import subprocess
import tempfile
import time
from pathlib import Path

from ..errors import DevClusterError
from .oci import ImageConfig, write_archive
from .tags import REGISTRY, content_tag

PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")
_SOURCES = Path("/etc/apt")
# The distribution's own, not those of other vendors that a development machine may have.
_SOURCE_FILES = ("sources.list", "sources.list.d/debian.sources", "sources.list.d/ubuntu.sources")


class BaseImageError(DevClusterError):
    """The base image could not be made; the message carries the end of the tool's output."""


def base_reference() -> str:
    """Return the reference of the base image: its tag depends on packages, release and sources."""
    return f"{REGISTRY}/base:{content_tag({}, _suite(), _sources(), *PACKAGES)}"


def make_base_archive(archive: Path, architecture: str) -> None:
    """Make the base image as an OCI archive (250 MB, about 20 s); raise BaseImageError."""
    started = time.monotonic()
    print(f"making the base image: {_suite()} with {', '.join(PACKAGES)}", flush=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        layer = Path(work) / "base.tar"
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", _suite(), str(layer), "-"]
        done = subprocess.run(command, input=_sources(), capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            tail = "\n".join(done.stderr.splitlines()[-15:])
            raise BaseImageError(f"`{' '.join(command)}` failed:\n{tail}")
        write_archive(archive, base_reference(), layer, ImageConfig(architecture=architecture))
    print(f"  base image made in {time.monotonic() - started:.0f} s", flush=True)


def _suite() -> str:
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def _sources() -> str:
    found = [path.read_text() for name in _SOURCE_FILES if (path := _SOURCES / name).is_file()]
    if not found:
        raise BaseImageError(f"no package sources of the distribution below {_SOURCES}: {', '.join(_SOURCE_FILES)}")
    return "\n".join(found)
