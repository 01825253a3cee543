"""The images that a node itself needs, packed from single static binaries."""

import subprocess
import tempfile
from pathlib import Path

from ..gotools import COREDNS, caches_lock, find_go, go_environment
from ..locks import locked
from .oci import ImageConfig, pack_files, write_archive
from .tags import REGISTRY, content_tag

_PAUSE_SOURCE = Path(__file__).parent / "pause"


def pause_reference() -> str:
    """Return the reference of the image that every pod's sandbox runs."""
    return f"{REGISTRY}/pause:{content_tag({'pause': _PAUSE_SOURCE})}"


def coredns_reference() -> str:
    """Return the reference of CoreDNS's image."""
    return f"{REGISTRY}/coredns:{COREDNS.version}"


def make_pause_archive(archive: Path, architecture: str) -> None:
    """Build the pause program, which needs nothing but Go's standard library, and pack it."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        program = Path(work) / "pause"
        command = [find_go(), "build", "-trimpath", "-ldflags=-s -w", "-o", str(program), "main.go"]
        with locked(caches_lock()):
            environment = {**go_environment(), "GO111MODULE": "off"}
            subprocess.run(command, cwd=_PAUSE_SOURCE, env=environment, timeout=600, check=True)
        _pack(archive, pause_reference(), "pause", program, architecture)


def make_coredns_archive(archive: Path, architecture: str) -> None:
    """Pack CoreDNS."""
    _pack(archive, coredns_reference(), "coredns", COREDNS.program("coredns"), architecture)


def _pack(archive: Path, reference: str, name: str, program: Path, architecture: str) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        layer = Path(work) / "layer.tar"
        pack_files({f"/{name}": program}, layer)
        write_archive(archive, reference, layer, ImageConfig(entrypoint=[f"/{name}"], architecture=architecture))
