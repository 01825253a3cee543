"""Markdown tables, as generated pages have them."""

import re
from collections.abc import Iterable

import msgspec


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    head = tuple(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)) + "\n"


def code(text: str) -> str:
    """Set what messages quote as code."""
    return re.sub(
        r"(?<!\w)'([^']*)'(?!\w)|\b(true|false)\b", lambda found: f"`{found[1] if found[1] else found[2] or chr(34) * 2}`", text
    )


def value(given: object) -> str:
    """Return a JSON value as code; a string without its quotes, unless it is empty."""
    return f"`{given}`" if isinstance(given, str) and given else f"`{msgspec.json.encode(given).decode()}`"
