"""Commands that a Ctrl-C ends at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end as `asyncio.run` does, but let an interrupt wait for no thread: one may ask a hub that is silent.

    Whoever catches the KeyboardInterrupt ends the process, and so the thread.
    """
    runner = asyncio.Runner()
    try:
        result = runner.run(work)
    except KeyboardInterrupt:
        raise
    except BaseException:
        runner.close()
        raise
    runner.close()
    return result
