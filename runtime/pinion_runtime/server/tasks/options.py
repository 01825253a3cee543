"""How the texts of a request are treated: what the honoured fields say, on every route alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import invalid
from .fields import TRUNCATIONS, Side

EncodingFormat = Literal["float", "base64"]


@dataclass(frozen=True)
class Options:
    """How the texts of a request are treated; None is what the model does by itself."""

    truncate: bool = False
    cut: Side | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    dimensions: int | None = None
    normalize: bool | None = None


def parse_options(fields: Mapping[str, Any], *, normalize: bool | None = None) -> Options:
    """Combine honoured fields, each valid by itself; raise the 400 of a contradiction.

    `normalize` holds where they do not say.
    """
    if "prompt" in fields and "prompt_name" in fields:
        raise invalid("Give 'prompt' or 'prompt_name', not both.", param="prompt_name")
    truncate, cut = _truncation(fields)
    return Options(
        truncate=truncate,
        cut=cut,
        prompt=fields.get("prompt"),
        prompt_name=fields.get("prompt_name"),
        dimensions=fields.get("dimensions"),
        normalize=fields.get("normalize", normalize),
    )


def encoding_format_of(fields: Mapping[str, Any]) -> EncodingFormat:
    """Return the form of vectors that is asked for."""
    return "base64" if fields.get("encoding_format") == "base64" else "float"


def _truncation(fields: Mapping[str, Any]) -> tuple[bool, Side | None]:
    """Return whether texts are cut, and from which side, None: the model's own."""
    truncate, direction = fields.get("truncate", False), fields.get("truncation_direction")
    side: Side | None = None if direction is None else "left" if direction.lower() == "left" else "right"
    if isinstance(truncate, bool):
        return truncate, side
    cuts, said = TRUNCATIONS[truncate.lower()]
    if said and side and said != side:
        raise invalid(f"'truncate' is {truncate!r} and 'truncation_direction' is {direction!r}.", param="truncation_direction")
    return cuts, said or side
