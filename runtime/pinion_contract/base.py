"""The bases of all contract messages: frozen, camelCase on the wire."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Message(BaseModel):
    """A frozen message; unknown fields are refused: what a reader does not know it would not obey."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class OpenMessage(Message):
    """A frozen message between two versions: what a newer writer adds, an older reader ignores."""

    model_config = ConfigDict(extra="ignore")
