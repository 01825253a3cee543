"""The `ipfs` program, one process for each call: its answers, its errors in our words, and the lock of its repository."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from ..errors import BackendBusy, BackendUnavailable, ContentMissing
from .child import Ended, TooMuch, run_child
from .kubo_words import says_missing

Input = Callable[[], AsyncGenerator[bytes, None]]
_LOCKED = "someone else has the lock"
_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 0.5  # seconds between two tries for the lock
_MOST_ANSWER = 1024 * 1024
_MOST_WORDS = 300  # characters of a complaint that are passed on


class IpfsProgram:
    """`program` is a path, or a name that is looked up in PATH; `repository` is IPFS_PATH, None for the user's own.

    Without a daemon a repository belongs to one process at a time: a call waits for its turn, within its own limit.
    """

    def __init__(self, name: str, program: str, repository: Path | None, seconds: float) -> None:
        self._name, self._program, self._seconds = name, program, seconds
        self._environment = {**os.environ, "IPFS_TELEMETRY": "off"}
        if repository is not None:
            self._environment["IPFS_PATH"] = str(repository)
        self._importing = 0

    @property
    def repository(self) -> str:
        """Return the folder of the repository, links followed."""
        return os.path.realpath(self._environment.get("IPFS_PATH") or Path.home() / ".ipfs")

    async def call(
        self,
        command: str,
        *arguments: str,
        open_input: Input | None = None,
        seconds: float | None = None,
        most: int = _MOST_ANSWER,
        offline: bool = True,
    ) -> bytes:
        """Run `ipfs COMMAND OPTIONS` and return its output; raise ContentMissing, BackendBusy or BackendUnavailable.

        What users may have named stands behind `--`.
        """
        line = [self._program, "--enc=json", *(["--offline"] if offline else []), *command.split(), *arguments]
        limit = self._seconds if seconds is None else seconds
        deadline = asyncio.get_running_loop().time() + limit
        where, wait = f"{self._name} ({Path(self._program).name} {command})", _SHORTEST_WAIT
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                ended = await run_child(
                    line, seconds=max(left, 0.0), most=most, data=open_input and open_input(), environment=self._environment
                )
            except FileNotFoundError:
                raise BackendUnavailable(f"{self._name}: there is no program {self._program!r}") from None
            except TimeoutError as error:
                kind = BackendBusy if self._importing else BackendUnavailable
                raise kind(f"{where}: no answer within {limit:g} s") from error
            except TooMuch as error:
                raise BackendUnavailable(f"{where}: it writes {error}") from error
            except OSError as error:
                raise BackendUnavailable(f"{where}: {error.strerror}: {self._program}") from error
            if ended.code == 0:
                return ended.output
            if _LOCKED in ended.complaint and left > wait:
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            raise self._error(where, ended)

    async def take_in(self, command: str, *arguments: str, open_input: Input, seconds: float) -> None:
        """Run a command that may keep the repository long: until it ends, others that find no turn are told it is busy."""
        self._importing += 1
        try:
            await self.call(command, *arguments, open_input=open_input, seconds=seconds)
        finally:
            self._importing -= 1

    def _error(self, where: str, ended: Ended) -> BackendUnavailable:
        text = f"{where}: {_words(ended)}"
        if says_missing(ended.complaint):
            return ContentMissing(text)
        if _LOCKED in ended.complaint:
            kind = BackendBusy if self._importing else BackendUnavailable
            return kind(f"{text}: another process works on the repository, and there is no daemon to ask")
        return BackendUnavailable(text)


def _words(ended: Ended) -> str:
    """Return what the program says of its error, in one line."""
    if not ended.complaint:
        return f"it ended with {f'signal {-ended.code}' if ended.code < 0 else f'exit code {ended.code}'}"
    complaint = ended.complaint[ended.complaint.rfind("Error: ") :] if "Error: " in ended.complaint else ended.complaint
    return " ".join(complaint.removeprefix("Error: ").split())[:_MOST_WORDS]
