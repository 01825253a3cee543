"""`pinion-serve`, and `python -m pinion_runtime` in a pod: flags first, which need none of the packages that serve."""

import contextlib
import sys

from pinion_ipfs.distribution import extra_needed

from .settings import PROGRAM, from_process


def main() -> None:
    """Run until told to end, and exit: 0 after a drain, 2 for a wrong use, 1 when something is missing, taken or fails."""
    with extra_needed(PROGRAM, "runtime", sys.argv[1:]):
        settings = from_process()
        from .running import run  # not at the top: --help and --version work without the extra
    sys.exit(run(settings))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
