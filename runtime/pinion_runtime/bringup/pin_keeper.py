"""A pin is kept: made in the background until a backend has it, and made again where one that answers has lost it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from pinion_ipfs.errors import ContentError, StoreCorrupted
from pinion_ipfs.fetching.request import OpenSnapshot

from .content import ModelContent
from .retry import delay_seconds

_MOST_DOUBLINGS = 4  # a backend that is back is pinned in within half a minute
_MOST_REFUSALS = 6  # doublings of the time between two looks where one backend never takes what another has

_log = logging.getLogger(__name__)
_S = TypeVar("_S", bound=OpenSnapshot)


@dataclass
class Pace:
    """How long to wait before pins are looked at or made again."""

    look_seconds: float
    pinned: bool
    failed: int = 0  # tries to pin, one after the other
    refused: int = 0  # pins that one backend took and another did not, one after the other

    def kept(self) -> None:
        """Take note that every pin was found."""
        self.refused = 0

    def missing(self) -> None:
        """Take note that a backend lacks the pin."""
        self.pinned = False

    def made(self, *, everywhere: bool) -> None:
        """Take note that the model was pinned, in every backend or in some."""
        self.pinned, self.failed = True, 0
        self.refused = 0 if everywhere else self.refused + 1

    def not_made(self) -> None:
        """Take note that the model could not be pinned anywhere."""
        self.failed += 1

    def wait(self) -> float:
        """Return seconds, drawn at random so that the pods of a deployment do not meet."""
        if not self.pinned:
            return delay_seconds(min(self.failed, _MOST_DOUBLINGS))
        return self.look_seconds * random.uniform(1, 2) * (1 << min(self.refused, _MOST_REFUSALS))


async def keep_pinned(
    content: ModelContent[_S], snapshot: _S, refetch: Callable[[], Awaitable[object]], *, pinned: bool, seconds: float
) -> NoReturn:
    """Pin while the model is served, for ever; `seconds` lie between two looks at pins that are there.

    The pods of a deployment look at different times: the first that misses the pins makes them for all.
    """
    whole, pace = True, Pace(seconds, pinned)
    while True:
        await asyncio.sleep(pace.wait())
        try:
            if pace.pinned and not await content.misses_pins(snapshot):
                pace.kept()
                continue
            pace.missing()
            if not whole:
                # The engine has in memory what was verified; on disk it is made right again for the backend.
                await refetch()
                whole = True
            receipt = await content.pin(snapshot)
        except StoreCorrupted:
            whole = False  # told as a finding
        except ContentError as error:
            _log.warning("not pinned yet: %s", error)
        except Exception:
            _log.exception("pinning in the background failed; it is tried again")
        else:
            _log.info("pinned: %s", snapshot.cid)
            pace.made(everywhere=all(pin.pinned for pin in receipt.pins))
            continue
        pace.not_made()
