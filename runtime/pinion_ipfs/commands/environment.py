"""Variables of the environment that commands read; what is set, and empty or impossible, is a UsageError."""

import os
from pathlib import Path

from ..program.arguments import UsageError, variable
from ..routing.choice import choose_backends

_STORE = ("HF_HOME", "HF_HUB_CACHE")

_SECONDS = ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")  # for anything else the hub's library ends with a traceback


def check_store() -> None:
    """Check what says where the store lies. The hub's library reads it once, at its import, and takes '' for a folder."""
    for name in _STORE:
        variable(name, os.environ)
    for name in _SECONDS:
        if not (value := variable(name, os.environ) or "0").isdecimal():
            raise UsageError(f"{name}: a whole number of seconds, not {value[:80]!r}")
    if not os.environ.get("XDG_CACHE_HOME", "unset"):
        del os.environ["XDG_CACHE_HOME"]  # empty means the default, by its own specification


def check_backends() -> None:
    """Check what the environment says of backends, also for a command that asks none."""
    choose_backends(os.environ)


def check_authorities() -> None:
    """Check the file with more certificates."""
    from ..net.trust import VARIABLE, InvalidAuthorities, read_authorities  # not at the top: it imports ssl

    if given := variable(VARIABLE, os.environ):
        try:
            read_authorities(Path(given))
        except InvalidAuthorities as error:
            raise UsageError(f"{VARIABLE}: {error}") from None
