"""`pinion-serve`, and `python -m pinion_runtime` in a pod: signals count first, then flags, which need none of the packages."""

import sys

from pinion_ipfs.program.ending import end_now, end_when_told


def main() -> None:
    """Run until told to end, and exit: 0 after a drain, 2 for a wrong use, 1 when something is missing, taken or fails.

    Before there is anything to drain a signal ends it at once, with 143 or 130.
    """
    end_when_told()
    from pinion_ipfs.program.completion import complete_when_asked  # not at the top, like the rest: a delay
    from pinion_ipfs.program.distribution import extra_needed

    from .command_line import from_process
    from .flags import PROGRAM, make_parser

    complete_when_asked(make_parser)

    with extra_needed(PROGRAM, "runtime", sys.argv[1:]):
        settings = from_process()
        from .running import run  # --help and --version work without the extra
    end_now(run(settings))


if __name__ == "__main__":
    main()
