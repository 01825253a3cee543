"""live.json is read again while the pod runs, so that limits change without a restart."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pydantic

from pinion_contract.config import LiveConfig, RuntimeConfig, config_digest

_log = logging.getLogger(__name__)
_M = TypeVar("_M", bound=pydantic.BaseModel)


class InvalidConfig(Exception):
    """A configuration file is missing, or is not what the contract says."""


def read_config(path: Path) -> tuple[RuntimeConfig, str]:
    """Read config.json and return it with the digest of its bytes; raise InvalidConfig."""
    text = _bytes(path)
    return _parse(path, text, RuntimeConfig), config_digest(text)


def read_live(path: Path) -> LiveConfig:
    """Read live.json; raise InvalidConfig."""
    return _parse(path, _bytes(path), LiveConfig)


async def follow_live(path: Path, known: LiveConfig, seconds: float, on_change: Callable[[LiveConfig], None]) -> None:
    """Call `on_change` with each new content, for ever; what can't be read is logged once and the last good stays."""
    complaint = ""
    while True:
        await asyncio.sleep(seconds)
        try:
            found = await asyncio.to_thread(read_live, path)
        except InvalidConfig as error:
            if str(error) != complaint:
                complaint = str(error)
                _log.warning("%s; the last good one stays in force", complaint)
            continue
        complaint = ""
        if found != known:
            known = found
            on_change(found)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror}") from None


def _parse(path: Path, text: bytes, model: type[_M]) -> _M:
    try:
        return model.model_validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidConfig(f"{path}: {where}: {first['msg']} ({error.error_count()} problems)") from None
