"""`pinion-ipfs`, and `python -m pinion_ipfs`: a Ctrl-C ends it in silence, also while it still imports."""

import signal

from .ending import end_now, end_when_told


def main() -> None:
    """Run one command, and exit with its code."""
    end_when_told()
    from .cli import main as run  # not at the top: it would delay what comes before

    signal.signal(signal.SIGINT, signal.default_int_handler)  # commands take back what they have half written
    end_now(run())


if __name__ == "__main__":
    main()
