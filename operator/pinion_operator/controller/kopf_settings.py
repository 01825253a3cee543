"""What kopf is told: watch, and write nothing."""

from collections.abc import Iterator, Mapping

import kopf

from ..resources.kinds import Kind
from ..resources.names import GROUP


def kopf_settings(watch_seconds: int, selectors: Mapping[Kind, str]) -> kopf.OperatorSettings:
    """Return what kopf is told; `selectors` are label selectors that the server applies to the watches of a kind."""
    result = kopf.OperatorSettings()
    result.scanning.disabled = True  # no rights on CRDs and namespaces: ours are there before kopf starts
    result.posting.enabled = False
    result.persistence.finalizer = f"{GROUP}/not-used"  # kopf takes this one off any object that it sees
    result.queueing.worker_limit = None  # a limit delays or deadlocks: our own queue has the workers
    result.watching.connect_timeout = 5
    result.watching.server_timeout = watch_seconds
    # A half-dead connection shows nothing at all: no event, no bookmark, not even the end that was asked for.
    result.watching.inactivity_timeout = watch_seconds + max(1.0, watch_seconds / 6)
    result.networking.request_timeout = 30
    result.networking.error_backoffs = Backoffs()
    result.process.ultimate_exiting_timeout = None  # else SIGKILL ten minutes after kopf was stopped
    for kind, selector in selectors.items():
        result.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
    return result


class Backoffs:
    """Seconds between attempts, without an end: kopf gives a watch up for good, and itself, when they are used up.

    The last of them bounds how long a watch stays away after an outage.
    """

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0, 2.0)
        while True:
            yield 3.0
