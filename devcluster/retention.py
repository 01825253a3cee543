"""What goes when things take more room than they may: what nobody wants, then what was wanted longest ago. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """Something that takes room: the parts it is made of, by bytes (things share parts), and who wants it."""

    name: str
    parts: Mapping[str, int]
    wanted: float | None = None  # when somebody last wanted it; None when nobody does
    needed: bool = False  # it is in use, or it is what this tree has now

    @property
    def size(self) -> int:
        """Return the bytes of all its parts."""
        return sum(self.parts.values())


def superfluous(things: Collection[Thing], limit: int) -> list[str]:
    """Return the names of what is to go. What is needed stays, even beyond the limit."""
    kept: dict[str, int] = {}
    gone: list[str] = []
    for thing in sorted(things, key=lambda thing: (not thing.needed, -(thing.wanted or 0))):
        with_it = {**kept, **thing.parts}
        if thing.needed or (thing.wanted is not None and sum(with_it.values()) <= limit):
            kept = with_it
        else:
            gone.append(thing.name)
    return gone
