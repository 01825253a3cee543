"""From a body to its parameters: what is null or ignored is left out, what is not taken is refused by its name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ...errors import invalid, shorten
from ..bodies import RawFields, decode_object, decode_value, is_null
from ..fields import Effect, Field
from ..taking import refuse_in_query, take, unknown
from .bounds import MAX_STOP_BYTES


@dataclass(frozen=True)
class Given:
    """What a body says, each field valid by itself; what is null or ignored is in none of these."""

    own: RawFields  # fields that the route reads itself
    values: Mapping[str, Any]  # the others, by their one name
    written: Mapping[str, str]  # the name that the body has for it, which messages use

    def required(self, name: str) -> msgspec.Raw:
        """Return a field that the route reads itself; raise the 400 where there is none."""
        if name not in self.own:
            raise invalid(f"'{name}' is missing.", param=name)
        return self.own[name]

    def place(self, name: str) -> str:
        """Return the name that the body has for a value that is there."""
        return self.written[name]


def decode_parameters(body: bytes, table: Mapping[str, Field], own: Collection[str]) -> Given:
    """Return what a body says; raise the 400. `own` are the fields that the route reads itself."""
    raws: dict[str, msgspec.Raw] = {}
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    for name, raw in decode_object(body, table.keys()).items():
        if is_null(raw):
            continue
        field = table.get(name)
        if field is None:
            accepted = [known for known, each in table.items() if each.effect is Effect.HONOURED]
            raise unknown(name, shorten(name), accepted, table)
        if name in own and field.effect is Effect.HONOURED:
            raws[name] = raw
        elif field.effect is not Effect.IGNORED:
            taken = take(field, table, _value(field, raw), values, name)
            if taken is not None:
                written[taken] = name
    return Given(raws, values, written)


def _value(field: Field, raw: msgspec.Raw) -> Any:
    """Return a value; None for what is refused whatever it is, so that the reason is told and not the size."""
    hopeless = field.effect is Effect.AGREES and len(memoryview(raw)) > MAX_STOP_BYTES
    return None if field.effect is Effect.REFUSED or hopeless else decode_value(raw, field.name, MAX_STOP_BYTES)


def check_query(query: bytes, table: Mapping[str, Field]) -> None:
    """Raise the 400 for a parameter in the query string: it would be lost there. What else stands in it means nothing."""
    refuse_in_query(query, lambda name: name in table and table[name].effect is not Effect.IGNORED)
