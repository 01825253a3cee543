"""Where a backend keeps its content, as far as that is known without asking it: two with a place in common are one copy."""

from typing import Any, cast

from ..backends.base import Backend, Places


def places_of(backend: object) -> Places:
    """Return the folder, repository or API that is behind a backend; for any other the object itself. May look at the disk."""
    if isinstance(getattr(type(backend), "places", None), property):  # somebody else's object may answer to any name
        places: Places = cast(Any, backend).places
        return places
    return frozenset({("object", str(id(backend)))})


def count_places(backends: list[Backend]) -> int:
    """Return how many copies these can be."""
    seen: set[tuple[str, str]] = set()
    count = 0
    for backend in backends:
        places = places_of(backend)
        count += seen.isdisjoint(places)
        seen |= places
    return count
