"""The messages of a conversation as they came: so many objects with a known role, and text alone."""

from typing import Any

import msgspec

from ....model.chat_messages import ROLES
from ...errors import invalid, shorten
from ..bodies import WrongType, decode_as
from ..generation.bounds import MAX_MESSAGES
from ..generation.structure import check_structure
from ..taking import as_json, unsupported

_FIELD = "messages"
_MEDIA = frozenset(
    ("image_url", "image", "input_image", "image_pil", "image_embeds", "input_audio", "audio_url", "audio", "audio_embeds")
) | frozenset(("video_url", "video", "file", "input_file"))

Messages = tuple[dict[str, Any], ...]


def parse_messages(raw: msgspec.Raw) -> Messages:
    """Return the messages; raise the 400 for too many, for what is no message, and for images, sound and files.

    What a message holds beside its role is as it came.
    """
    check_structure(raw, _FIELD)
    try:
        messages: Messages = decode_as(raw, tuple[dict[str, Any], ...])
    except WrongType as error:
        what = (
            "a list of messages"
            if not error.place
            else "an object with a 'role'"
            if error.place.count("[") == 1
            else str(error)
        )
        raise invalid(f"'{_FIELD}{error.place}' must be {what}.", param=_FIELD + error.place) from None
    if not messages:
        raise invalid(f"'{_FIELD}' is an empty list.", param=_FIELD)
    if len(messages) > MAX_MESSAGES:
        raise invalid(f"'{_FIELD}' has {len(messages)} messages; at most {MAX_MESSAGES} are taken.", param=_FIELD)
    for index, message in enumerate(messages):
        _check_message(message, f"{_FIELD}[{index}]")
    return messages


def _check_message(message: dict[str, Any], place: str) -> None:
    role = message.get("role")
    if role not in ROLES:
        given = "missing" if "role" not in message else shorten(as_json(role))
        raise invalid(f"'{place}.role' is {given}; it must be one of {', '.join(ROLES)}.", param=f"{place}.role")
    if message.get("audio") is not None:
        raise unsupported(f"'{place}.audio' is not taken: messages are text here.", f"{place}.audio")
    content = message.get("content")
    for index, part in enumerate(content if isinstance(content, list) else ()):
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _MEDIA:
            where = f"{place}.content[{index}]"
            raise unsupported(f"'{where}' is of type '{kind}', which is not taken: messages are text here.", where)
