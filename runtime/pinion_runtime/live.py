"""live.json is read again while the pod runs, so that limits change without a restart."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pydantic

from pinion_contract.config import LiveConfig, RuntimeConfig

_log = logging.getLogger(__name__)
_M = TypeVar("_M", bound=pydantic.BaseModel)


class InvalidConfig(Exception):
    """A configuration file is missing, or is not what the contract says."""


def read_config(path: Path) -> RuntimeConfig:
    """Read config.json; raise InvalidConfig."""
    return _read(path, RuntimeConfig)


def read_live(path: Path) -> LiveConfig:
    """Read live.json; raise InvalidConfig."""
    return _read(path, LiveConfig)


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


def _read(path: Path, model: type[_M]) -> _M:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror}") from None
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidConfig(f"{path}: {where}: {first['msg']} ({error.error_count()} problems)") from None
