"""System calls that answer as odd filesystems do: a library that a program is started with (LD_PRELOAD)."""

import errno
import subprocess
from pathlib import Path

import pytest

_SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#define FAIL(name) do { const char *text = getenv("FAULT_" name); if (text) { errno = atoi(text); return -1; } } while (0)
#include <dlfcn.h>
#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))
int flock(int fd, int operation) {
    FAIL("flock");
    return NEXT(int (*)(int, int), "flock")(fd, operation);
}
int symlink(const char *target, const char *path) {
    FAIL("symlink");
    return NEXT(int (*)(const char *, const char *), "symlink")(target, path);
}
int symlinkat(const char *target, int folder, const char *path) {
    FAIL("symlink");
    return NEXT(int (*)(const char *, int, const char *), "symlinkat")(target, folder, path);
}
int link(const char *from, const char *to) {
    FAIL("link");
    return NEXT(int (*)(const char *, const char *), "link")(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    FAIL("link");
    return NEXT(int (*)(int, const char *, int, const char *, int), "linkat")(a, from, b, to, flags);
}
int chmod(const char *path, unsigned mode) {
    FAIL("chmod");
    return NEXT(int (*)(const char *, unsigned), "chmod")(path, mode);
}
int fchmodat(int folder, const char *path, unsigned mode, int flags) {
    FAIL("chmod");
    return NEXT(int (*)(int, const char *, unsigned, int), "fchmodat")(folder, path, mode, flags);
}
"""


class FaultyCalls:
    """The library; `variables` gives the environment in which calls fail, by their names: flock, symlink, link, chmod."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "faulty.so"
        source = folder / "faulty.c"
        source.write_text(_SOURCE)
        command = ["gcc", "-shared", "-fPIC", "-o", self._library, source, "-ldl"]
        subprocess.run(command, check=True, timeout=60)

    def variables(self, **faults: str) -> dict[str, str]:
        """Return variables with which each call named fails so: `flock="ENOLCK"`."""
        return {"LD_PRELOAD": str(self._library)} | {
            f"FAULT_{call}": str(getattr(errno, name)) for call, name in faults.items()
        }


@pytest.fixture(scope="session")
def faulty_calls(tmp_path_factory: pytest.TempPathFactory) -> FaultyCalls:
    """Compile the library once; tests that use it are marked `needs_program("gcc")`."""
    return FaultyCalls(tmp_path_factory.mktemp("faulty"))
