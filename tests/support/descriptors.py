"""A process that has no descriptor left, for a moment."""

import gc
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def no_descriptors(left: int = 0) -> Iterator[None]:
    """Take all descriptors of this process but so many, and give them back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    with ExitStack() as taken:
        # What is collected meanwhile would give one back.
        gc.collect()
        gc.disable()
        taken.callback(gc.enable)
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
        held = []
        try:
            while True:
                held.append(taken.enter_context(Path("/dev/null").open()))
        except OSError:
            pass
        for file in held[:left]:
            file.close()
        yield
