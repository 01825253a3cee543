"""The chat templates of a model folder, and the special tokens that they may name. Reads files; renders nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..errors import EngineLoadError
from .json_files import decode_json, decode_json_or_default
from .lfs_pointers import refuse_pointers

MOST_BYTES = 1 << 20  # of one file; the largest template known has 30 KiB
MOST_FILES = 32
_FILE, _FOLDER, _OLD_FILE = "chat_template.jinja", "additional_chat_templates", "chat_template.json"
_CONFIG, _SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
DEFAULT, TOOL_USE = "default", "tool_use"
_TOKEN = "_token"  # how the names of special tokens end: bos_token, image_token


class _Named(msgspec.Struct):
    name: str
    template: str


class _OldFile(msgspec.Struct):
    chat_template: str | list[_Named] | dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ChatTemplates:
    """What a folder has."""

    by_name: Mapping[str, str] = field(default_factory=dict)  # one without a name is `default`
    special_tokens: Mapping[str, str] = field(default_factory=dict)  # `bos_token` and so on: variables of templates

    def choose(self, name: str | None = None, tools: bool = False) -> str | None:
        """Return the name of the template to use, None for none: the one asked for, or `tool_use` for tools, or `default`."""
        names = [name] if name is not None else [*([TOOL_USE] if tools else []), DEFAULT]
        return next((one for one in names if one in self.by_name), None)


def read_chat_templates(folder: Path) -> ChatTemplates:
    """Read as AutoTokenizer does, and the old file of processors where there is nothing else; raise EngineLoadError.

    Files of templates come before those in tokenizer_config.json.
    """
    config = decode_json_or_default(folder, _CONFIG, dict[str, Any])
    templates = _template_files(folder)
    if DEFAULT not in templates:
        templates = {**_configured(config), **templates}
    if not templates and (folder / _OLD_FILE).is_file():
        templates = _by_name(decode_json(folder, _OLD_FILE, _OldFile).chat_template)
    return ChatTemplates(templates, _special_tokens(folder, config))


def _template_files(folder: Path) -> dict[str, str]:
    found = {DEFAULT: folder / _FILE} if (folder / _FILE).is_file() else {}
    if (folder / _FOLDER).is_dir():
        more = sorted(path for path in (folder / _FOLDER).glob("*.jinja") if path.is_file())
        if len(more) > MOST_FILES:
            raise EngineLoadError(f"{_FOLDER} has {len(more)} templates; at most {MOST_FILES} are read")
        found |= {path.stem: path for path in more}
    return {name: _read(path, folder) for name, path in found.items()}


def _read(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix()
    refuse_pointers([path], folder)
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise EngineLoadError(f"{name} is larger than {MOST_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise EngineLoadError(f"{name} is not valid: it is not UTF-8: byte {error.start}") from error


def _configured(config: Mapping[str, Any]) -> dict[str, str]:
    try:
        return _by_name(msgspec.convert(config.get("chat_template"), str | list[_Named] | dict[str, str] | None))
    except msgspec.ValidationError as error:
        raise EngineLoadError(f"{_CONFIG} is not valid: chat_template: {error}") from error


def _by_name(value: str | list[_Named] | dict[str, str] | None) -> dict[str, str]:
    if isinstance(value, list):
        return {one.name: one.template for one in value}
    return {DEFAULT: value} if isinstance(value, str) else value or {}


def _special_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the tokens that have names; the map in a file of its own counts where the configuration lists no added tokens."""
    sources = [config]
    if "added_tokens_decoder" not in config:
        sources.append(decode_json_or_default(folder, _SPECIAL, dict[str, Any]))
    found: dict[str, str] = {}
    for source in sources:
        extra = source.get("extra_special_tokens")
        more = extra if isinstance(extra, dict) else {}
        for name, value in {**source, **more}.items():
            text = value.get("content") if isinstance(value, dict) else value
            if (name.endswith(_TOKEN) or name in more) and isinstance(text, str):
                found[name] = text
    return found
