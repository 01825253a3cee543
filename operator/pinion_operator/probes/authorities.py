"""The file with the certificates that an installation adds: read again at each look, since the kubelet replaces it."""

import logging
from pathlib import Path

from pinion_ipfs.net.trust import InvalidAuthorities, read_authorities

log = logging.getLogger(__name__)


class Authorities:
    """What the file holds; while it cannot be read, what it held last."""

    def __init__(self, file: str) -> None:
        self._file, self._text, self._problem = file, "", ""  # "" = there is none

    def read(self) -> str:
        """Return the certificates, "" when there is no file to read."""
        if not self._file:
            return ""
        try:
            self._text, self._problem = read_authorities(Path(self._file)), ""
        except InvalidAuthorities as error:
            if self._problem != (problem := str(error)):
                log.warning("the file of certificates cannot be used, what it held before stands", extra={"error": problem})
                self._problem = problem
        return self._text
