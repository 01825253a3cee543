"""`pinion-ipfs`, and `python -m pinion_ipfs`: a Ctrl-C ends it in silence, also while it still imports."""

from .program.ending import end_now, end_when_told


def main() -> None:
    """Run one command, and exit with its code."""
    end_when_told()
    from .commands import interrupting, standard_streams
    from .commands.cli import main as run  # not at the top, like the rest: it would delay what comes before
    from .commands.parser import make_parser
    from .program.completion import complete_when_asked

    complete_when_asked(make_parser)
    standard_streams.make_ready()
    interrupting.take_over()  # commands take back what they have half written
    code = run()
    end_now(code, flush=not interrupting.was_told())


if __name__ == "__main__":
    main()
