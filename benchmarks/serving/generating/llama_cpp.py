"""llama.cpp's own server, compiled here from the sources that llama-cpp-python carries, and weights in its format."""

import os
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.paths import cache_dir

from ...processes import environment_of

_SOURCES = "llama-cpp-python==0.3.36"
# The bindings without their library: what is compiled is the server.
_REQUIREMENTS = ("llama-cpp-python[server]==0.3.36", "gguf>=0.19,<0.20")
_WITHOUT_LIBRARY = {"CMAKE_ARGS": "-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF"}
_OPTIONS = (
    "CMAKE_BUILD_TYPE=Release", "LLAMA_BUILD_TESTS=OFF", "LLAMA_BUILD_EXAMPLES=OFF", "LLAMA_BUILD_APP=OFF",
    "LLAMA_USE_PREBUILT_UI=OFF", "LLAMA_OPENSSL=OFF",
)  # fmt: skip
_CONVERT = Path(__file__).parent.parent / "peers" / "to_gguf.py"
_COMPILE_SECONDS = 3600


class NotBuilt(Exception):
    """The server can't be had here; the message says why."""


@dataclass(frozen=True)
class Built:
    """The server's program, and a Python that has gguf."""

    server: Path
    python: Path

    def convert(self, folder: Path) -> Path:
        """Return the weights of a folder as GGUF, written beside it on first use."""
        target = folder.with_suffix(".gguf")
        if not target.exists():
            _run([self.python, _CONVERT, folder, target])
        return target


def built() -> Built:
    """Return the server, compiled for this processor on first use, which takes minutes; raise NotBuilt."""
    python = environment_of("llama-cpp", _REQUIREMENTS, _WITHOUT_LIBRARY)
    build = python.parent.parent / "build"
    server, done = build / "bin" / "llama-server", build / ".ready"
    if not done.exists():
        print("compiling llama.cpp's server, which takes minutes", flush=True)
        sources = _sources(python.parent.parent / "sources")
        _run(["cmake", "-S", sources, "-B", build, *(f"-D{option}" for option in _OPTIONS)])
        _run(["cmake", "--build", build, "--target", server.name, "--parallel", str(os.cpu_count())])
        done.touch()
    return Built(server, python)


def _sources(folder: Path) -> Path:
    """Return the folder of llama.cpp's sources, downloaded where they are not there yet."""
    name, _, version = _SOURCES.partition("==")
    pip = cache_dir() / "uv" / "bin" / "pip"
    _run([pip, "download", "--quiet", "--no-deps", "--no-binary", name, "--dest", folder, _SOURCES])
    unpacked = f"{name.replace('-', '_')}-{version}"
    with tarfile.open(folder / f"{unpacked}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / unpacked / "vendor" / "llama.cpp"


def _run(command: Sequence[str | Path]) -> None:
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=_COMPILE_SECONDS)
    except FileNotFoundError as error:
        raise NotBuilt(f"there is no {error.filename} here") from None
    if done.returncode:
        raise NotBuilt(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
