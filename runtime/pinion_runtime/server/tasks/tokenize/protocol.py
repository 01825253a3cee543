"""The messages of `/tokenize` and `/detokenize`, in vLLM's shape: a text or a conversation as token ids, and the way back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from ...errors import invalid
from ..bodies import WrongType, decode_as
from ..chat.messages import Messages, parse_messages
from ..chat.protocol import TemplateOptions, parse_template
from ..fields import Effect, Field
from ..generation.parameters import TABLES
from ..generation.reading import decode_parameters
from ..texts import MAX_IDS

_TEMPLATE = ("add_generation_prompt", "continue_final_message", "chat_template_kwargs", "reasoning_effort")
_CHAT = ("messages", *_TEMPLATE, "tools", "chat_template")
_SHARED = ("model", "media_io_kwargs", "mm_processor_kwargs")
_OWN = (
    Field("prompt", Effect.HONOURED, "the text", "a string"),
    Field(
        "add_special_tokens",
        Effect.HONOURED,
        "the tokenizer's special tokens around the prompt, the default; around 'messages' the template puts what belongs there",
        "true or false",
        lambda value: isinstance(value, bool),
    ),
    Field("return_token_strs", Effect.AGREES, "ids come without their strings: send them to '/detokenize'", agrees=(False,)),
)
TOKENIZE: Mapping[str, Field] = {field.name: field for field in _OWN} | {name: TABLES["chat"][name] for name in _CHAT + _SHARED}
DETOKENIZE: Mapping[str, Field] = {
    "tokens": Field("tokens", Effect.HONOURED, "the ids", "a list of token ids"),
    "model": TABLES["chat"]["model"],
}
_TokenId = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class TokenizeRequest:
    """One valid request: a prompt, or messages and what their template is told."""

    model: str | None
    prompt: str | None
    messages: Messages
    template: TemplateOptions
    add_special_tokens: bool


@dataclass(frozen=True)
class DetokenizeRequest:
    """One valid request; the ids may be none of the model's."""

    model: str | None
    tokens: tuple[int, ...]


def parse_tokenize(body: bytes) -> TokenizeRequest:
    """Read a body with a prompt or with messages; raise a 400 that names the field."""
    given = decode_parameters(body, TOKENIZE, ("prompt", "messages"))
    values, is_chat = given.values, "messages" in given.own
    if is_chat and "prompt" in given.own:
        raise invalid("Give 'prompt' or 'messages', not both.", param="messages")
    if is_chat and values.get("add_special_tokens"):
        message = "'add_special_tokens' can't be true with 'messages': their template writes those that belong there."
        raise invalid(message, param="add_special_tokens")
    for name in () if is_chat else _TEMPLATE:
        if name in values:
            raise invalid(f"'{name}' is only taken with 'messages'.", param=name)
    return TokenizeRequest(
        model=values.get("model"),
        prompt=None if is_chat else _text(given.required("prompt")),
        messages=parse_messages(given.own["messages"]) if is_chat else (),
        template=parse_template(values),
        add_special_tokens=values.get("add_special_tokens", True),
    )


def parse_detokenize(body: bytes) -> DetokenizeRequest:
    """Read a body with token ids; raise a 400 that names the field, and the entry where there is one."""
    given = decode_parameters(body, DETOKENIZE, ("tokens",))
    raw = given.required("tokens")
    if bytes(raw).count(b",") >= MAX_IDS:
        raise invalid(f"'tokens' has more than {MAX_IDS} token ids; send fewer at once.", param="tokens")
    try:
        tokens: tuple[int, ...] = decode_as(raw, tuple[_TokenId, ...])
    except WrongType as error:
        what = "a token id, an integer that is not negative" if error.place else "a list of token ids"
        raise invalid(f"'tokens{error.place}' must be {what}.", param="tokens" + error.place) from None
    return DetokenizeRequest(given.values.get("model"), tokens)


def write_tokens(tokens: Sequence[int], max_model_len: int) -> bytes:
    """Return the ids, and how many of them prompt and answer may have together."""
    return msgspec.json.encode({"count": len(tokens), "max_model_len": max_model_len, "tokens": list(tokens)})


def write_text(text: str) -> bytes:
    """Return the text of token ids."""
    return msgspec.json.encode({"prompt": text})


def _text(raw: msgspec.Raw) -> str:
    try:
        text: str = decode_as(raw, str)
    except WrongType:
        raise invalid("'prompt' must be a string.", param="prompt") from None
    return text
