"""Which web pages may read answers of a model."""

from typing import Annotated

from pydantic import Field

from pinion_contract.origins import DEFAULT_PORTS, MAX_ORIGIN_CHARACTERS, ORIGIN_PATTERN

from .base import ApiModel, at_most_together, rules

_PORT_RULES = rules(
    *(
        (f"!(self.startsWith('{scheme}://') && self.endsWith('{port}'))", f"browsers leave {port} out of {scheme}://HOST")
        for scheme, port in DEFAULT_PORTS.items()
    )
)
Origin = Annotated[
    str, Field(min_length=1, max_length=MAX_ORIGIN_CHARACTERS, pattern=ORIGIN_PATTERN, json_schema_extra=_PORT_RULES)
]
_TOGETHER = at_most_together(2048, "allowOrigins")


class Cors(ApiModel):
    """Cross-origin requests of web pages. A change replaces no pod."""

    allow_origins: Annotated[tuple[Origin, ...], Field(max_length=32, json_schema_extra=_TOGETHER)] = ()
    """Pages that may read answers, as browsers name them: https://HOST or https://HOST:PORT. Empty: none; `*`: all."""
