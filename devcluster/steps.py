"""Work of several steps of which each is taken whatever became of the others; at the end it says what was not done."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .errors import DevClusterError


class Step(NamedTuple):
    """What a step removes, in words that a failure is told with, and the work itself."""

    what: str
    work: Callable[[], object]


class UnfinishedError(DevClusterError):
    """Some steps failed and all others were taken; `lines` says of each what it could not do, and why."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        told = "\n  ".join(self.lines)
        super().__init__(f"not everything could be removed; the same command goes on when this is out of the way:\n  {told}")


def take_all(steps: Iterable[Step]) -> None:
    """Take every step; raise UnfinishedError when some failed. An interrupt ends it at once: it is made to be run again."""
    lines: list[str] = []
    for step in steps:
        try:
            step.work()
        except UnfinishedError as error:
            lines += error.lines
        except Exception as error:  # whatever it is, it must not keep the other steps from being taken
            lines.append(f"{step.what}: {_reason(error)}")
    if lines:
        raise UnfinishedError(lines)


def _reason(error: Exception) -> str:
    if isinstance(error, DevClusterError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
