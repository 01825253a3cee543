"""How long a pod waits before it looks at its pins, or makes them, again."""

from collections.abc import Callable

import pytest

from pinion_runtime.bringup.pin_keeper import Pace

LOOK = 60.0


kept, missing, failed = Pace.kept, Pace.missing, Pace.not_made


def made(pace: Pace) -> None:
    pace.made(everywhere=True)


def refused(pace: Pace) -> None:
    """One backend takes the pin, and another does not."""
    pace.missing()
    pace.made(everywhere=False)


# What happened to a pod that had pinned, and the seconds between which it waits then.
CASES: dict[str, tuple[list[Callable[[Pace], None]], float, float]] = {
    "it has just pinned": ([], LOOK, 2 * LOOK),
    "pins were found": ([kept, kept], LOOK, 2 * LOOK),
    "a pin is missing": ([missing], 0.5, 1),
    "it could not be made": ([missing, failed], 1, 2),
    "it cannot be made for long": ([missing, *[failed] * 50], 8, 16),
    "it was made after all": ([missing, *[failed] * 50, made], LOOK, 2 * LOOK),
    "lost anew, with nothing left of old failures": ([missing, *[failed] * 50, made, missing], 0.5, 1),
    "one backend refuses what another has": ([refused], 2 * LOOK, 4 * LOOK),
    "it refuses again": ([refused, refused], 4 * LOOK, 8 * LOOK),
    "it refuses for ever": ([refused] * 50, 64 * LOOK, 128 * LOOK),
    "it took the pin at last": ([*[refused] * 50, missing, made], LOOK, 2 * LOOK),
    "it is gone, and the others have theirs": ([*[refused] * 50, kept], LOOK, 2 * LOOK),
}


@pytest.mark.parametrize(("happened", "least", "most"), CASES.values(), ids=CASES.keys())
def test_wait(happened: list[Callable[[Pace], None]], least: float, most: float) -> None:
    pace = Pace(LOOK, pinned=True)
    for happens in happened:
        happens(pace)
    waits = [pace.wait() for _ in range(200)]
    assert least <= min(waits) < max(waits) <= most, "and no two pods wait alike"


def test_what_was_never_pinned_is_pinned_soon() -> None:
    assert Pace(LOOK, pinned=False).wait() <= 1
