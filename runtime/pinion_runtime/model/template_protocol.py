"""What the front and the process that renders templates say to each other: JSON behind four bytes of length."""

from enum import StrEnum
from typing import Any

import msgspec

HEADER_BYTES = 4


class TemplateFailure(StrEnum):
    """Why there is no prompt."""

    MISSING = "missing"  # the model has no such template
    RAISED = "raised"  # the template's own error, about these messages
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"  # text, or memory
    DIED = "died"  # the process ended, or could not be started


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first message: the templates, and how much they may make."""

    templates: dict[str, str]
    most_bytes: int  # of a prompt
    memory_bytes: int  # of the process, beside what it has before it renders


class Render(msgspec.Struct, frozen=True, tag=True):
    """Messages to be made a prompt of."""

    template: str  # its name
    messages: list[dict[str, Any]]
    variables: dict[str, Any]
    tools: list[dict[str, Any]] | None = None
    documents: list[dict[str, Any]] | None = None
    add_generation_prompt: bool = False
    continue_final_message: bool | str = False


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process takes messages."""


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """The prompt."""

    text: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """There is none."""

    kind: TemplateFailure
    message: str


to_process = msgspec.json.Decoder(Setup | Render)
from_process = msgspec.json.Decoder(Ready | Rendered | Failed)
_encoder = msgspec.json.Encoder()


def encode_frame(message: Setup | Render | Ready | Rendered | Failed) -> bytes:
    """Return length and message."""
    data = _encoder.encode(message)
    return len(data).to_bytes(HEADER_BYTES, "little") + data
