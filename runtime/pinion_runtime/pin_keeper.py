"""A pin is kept: made in the background until a backend has it, and made again where one that answers has lost it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn

from pinion_ipfs.errors import ContentError, StoreCorrupted
from pinion_ipfs.request import Snapshot

from .content import Content
from .retry import delay_seconds

_MOST_DOUBLINGS = 4  # a backend that is back is pinned in within half a minute
_MOST_REFUSALS = 6  # doublings of the time between two looks where one backend never takes what another has

_log = logging.getLogger(__name__)


async def keep_pinned(
    content: Content, snapshot: Snapshot, refetch: Callable[[], Awaitable[object]], *, pinned: bool, seconds: float
) -> NoReturn:
    """Pin while the model is served, for ever; `seconds` lie between two looks at pins that are there.

    The pods of a deployment look at different times: the first that misses the pins makes them for all.
    """
    whole, failed, refused = True, 0, 0
    while True:
        if pinned:
            await asyncio.sleep(seconds * random.uniform(1, 2) * 2 ** min(refused, _MOST_REFUSALS))
        else:
            await asyncio.sleep(delay_seconds(min(failed, _MOST_DOUBLINGS)))
        try:
            if pinned and not await content.misses_pins(snapshot):
                refused = 0
                continue
            pinned = False
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
            refused = 0 if all(pin.pinned for pin in receipt.pins) else refused + 1
            pinned, failed = True, 0
            continue
        failed += 1
