"""The keys of the clients, read from a folder with one file each, and read again when the folder changes."""

import asyncio
import hashlib
import hmac
import itertools
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

_log = logging.getLogger(__name__)

MAX_CLIENTS = 1024
MAX_KEY_BYTES = 4096  # of a file, and of what a client sends
_MAX_ENTRIES = 4096  # of the folder that are looked at
_REREADS = 3  # while the folder changes under us
_HASHED = b"sha256:"
_HEX = re.compile(rb"[0-9a-fA-F]{64}")

_Signature = tuple[tuple[str, int, int, int], ...]


class KeyRing:
    """Who may ask: open until it is told to require a key, and from then on never open again."""

    def __init__(self) -> None:
        self._digests: dict[str, bytes] | None = None

    @property
    def required(self) -> bool:
        """Tell whether a key is asked for."""
        return self._digests is not None

    @property
    def clients(self) -> tuple[str, ...]:
        """Return the names of the clients that have a key."""
        return tuple(sorted(self._digests or ()))

    def replace(self, digests: Mapping[str, bytes]) -> None:
        """Require one of these keys, given as SHA-256; with none of them nobody is let in."""
        self._digests = dict(digests)

    def client_of(self, key: bytes) -> str | None:
        """Return whose key this is; None for nobody's. It takes as long for a wrong key as for a right one."""
        found: str | None = None
        if not key or len(key) > MAX_KEY_BYTES:
            return None
        digest = hashlib.sha256(key).digest()
        for client, known in (self._digests or {}).items():
            if hmac.compare_digest(digest, known):
                found = client
        return found


class KeyFolder:
    """The folder: a mounted Secret, whose files all change at once when its link is swapped, or any folder of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signature: _Signature | None = None
        self._complaint = ""

    def read_if_changed(self) -> dict[str, bytes] | None:
        """Return the SHA-256 of each client's key; None while nothing has changed. A folder that can't be read has no keys."""
        try:
            signature = self._look()
            if signature == self._signature:
                return None
            keys: dict[str, bytes] = {}
            for _ in range(_REREADS):
                before, keys = signature, self._read(signature)
                signature = self._look()
                if signature == before:
                    break
        except OSError as error:
            self._complain(f"no API keys: {self._folder}: {error.strerror}; every request is refused")
            return None if self._signature == () else self._forget()
        self._signature = signature
        if not keys:
            self._complain(f"no API keys: {self._folder} has none; every request is refused")
        else:
            self._complaint = ""
            _log.info("API keys of %d clients are in force: %s", len(keys), ", ".join(sorted(keys)[:20]))
        return keys

    def _forget(self) -> dict[str, bytes]:
        self._signature = ()
        return {}

    def _complain(self, message: str) -> None:
        if message != self._complaint:
            self._complaint = message
            _log.error("%s", message)

    def _look(self) -> _Signature:
        """Return what changes when a key does, without reading one."""
        return tuple(sorted(self._entries()))

    def _entries(self) -> Iterator[tuple[str, int, int, int]]:
        with os.scandir(self._folder) as entries:
            for entry in itertools.islice(entries, _MAX_ENTRIES):
                if entry.name.startswith("."):
                    continue  # the versions of a mounted Secret, and the link to the one that counts
                try:
                    found = entry.stat()
                except FileNotFoundError:
                    continue  # a link whose target has gone: the next look sees the new one, or none
                if stat.S_ISREG(found.st_mode):
                    yield entry.name, found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self, signature: _Signature) -> dict[str, bytes]:
        keys: dict[str, bytes] = {}
        for name, *_ in signature[:MAX_CLIENTS]:
            try:
                keys[name] = digest_of(_read_file(self._folder / name))
            except (OSError, ValueError) as error:
                # The name, never what is inside.
                _log.error("the API key of %s is not used: %s", name, error.strerror if isinstance(error, OSError) else error)
        if len(signature) > MAX_CLIENTS:
            _log.error("%s has %d files; only %d clients are let in", self._folder, len(signature), MAX_CLIENTS)
        return keys


def digest_of(content: bytes) -> bytes:
    """Return the SHA-256 of the key that a file holds in plain or as `sha256:<hex>`; raise ValueError, without the key."""
    if len(content) > MAX_KEY_BYTES:
        raise ValueError(f"larger than {MAX_KEY_BYTES} bytes")
    key = content.strip()
    if not key:
        raise ValueError("empty")
    if not key.startswith(_HASHED):
        return hashlib.sha256(key).digest()
    if not _HEX.fullmatch(key.removeprefix(_HASHED)):
        raise ValueError("sha256: is not followed by 64 hexadecimal digits")
    return bytes.fromhex(key.removeprefix(_HASHED).decode())


async def follow_keys(folder: Path, ring: KeyRing, seconds: float) -> None:
    """Keep `ring` at what the folder says, for ever; it lets nobody in before the first look, nor after one that failed."""
    ring.replace({})
    files = KeyFolder(folder)
    while True:
        try:
            found = await asyncio.to_thread(files.read_if_changed)
        except Exception:
            _log.exception("the API keys can't be read")
            files, found = KeyFolder(folder), {}
        if found is not None:
            ring.replace(found)
        await asyncio.sleep(seconds)


def _read_file(path: Path) -> bytes:
    # Not blocked by what became a pipe since it was looked at.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read(MAX_KEY_BYTES + 1)
