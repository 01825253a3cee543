"""Whether what we would apply is there already."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .quantity import parse_quantity


def covers(have: Any, want: Any) -> bool:
    """Return whether every field and list item of `want` is in `have`.

    What others added, or the server defaulted, does not count. Quantities are compared as numbers, because the server
    writes them its own way (`1000m` comes back as `1`).
    """
    if isinstance(want, Mapping):
        return isinstance(have, Mapping) and all(name in have and covers(have[name], value) for name, value in want.items())
    if isinstance(want, (list, tuple)):
        return isinstance(have, (list, tuple)) and all(any(covers(item, value) for item in have) for value in want)
    return bool(have == want) or _equal_quantities(have, want)


def _equal_quantities(have: Any, want: Any) -> bool:
    number = _number(want)
    return number is not None and _number(have) == number


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        return parse_quantity(str(value))
    except ValueError:
        return None
