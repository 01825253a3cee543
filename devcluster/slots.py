"""Slots: a state folder with ports of its own, held by a file lock, so that control planes never meet each other."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .errors import DevClusterError
from .locks import try_lock, unlock
from .paths import make_private
from .processes import processes_under, terminate
from .removal import remove_tree
from .steps import Step, UnfinishedError, take_all

# Below 32768, where Linux begins to hand out ports to outgoing connections.
FIRST_PORT, PORTS_EACH, SLOTS = 20000, 8, 1000


@dataclass(frozen=True)
class Slot:
    """One held slot."""

    folder: Path
    ports: tuple[int, ...]
    lock: int

    def clear(self, programs: tuple[str, ...]) -> None:
        """Kill what still runs from the folder, delete it, and let the slot go; raise UnfinishedError for what is left."""
        try:
            self.empty(programs)
        finally:
            unlock(lock_path(self.folder), self.lock)

    def empty(self, programs: tuple[str, ...]) -> None:
        """Kill what still runs from the folder, and delete it; raise UnfinishedError for what is left."""
        take_all(
            (
                Step(f"processes of {self.folder}", lambda: terminate(processes_under([self.folder], programs))),
                Step(str(self.folder), lambda: remove_tree(self.folder)),
            )
        )


def take_slot(parent: Path, programs: tuple[str, ...]) -> Slot:
    """Hold the first slot below `parent` that nobody holds and whose ports are free; its folder is new and empty."""
    make_private(parent)
    for number in range(SLOTS):
        ports = tuple(range(FIRST_PORT + number * PORTS_EACH, FIRST_PORT + (number + 1) * PORTS_EACH))
        if not all(map(is_free, ports)):
            continue
        if slot := _hold(parent / f"{number:03}", ports):
            try:
                slot.empty(programs)
            except UnfinishedError:  # what a killed run left there does not go: another one does as well
                unlock(lock_path(slot.folder), slot.lock)
                continue
            make_private(slot.folder)
            return slot
    raise DevClusterError(f"all {SLOTS} control planes below {parent} are taken, or their ports are")


def sweep(parent: Path, programs: tuple[str, ...]) -> None:
    """Clear what runs that were killed have left: slots whose lock nobody holds any more. Raise UnfinishedError at the end."""
    take_all(Step(str(folder), partial(_sweep, folder, programs)) for folder in _folders(parent))


def _sweep(folder: Path, programs: tuple[str, ...]) -> None:
    if slot := _hold(folder, ()):
        slot.clear(programs)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a TCP port can be listened on."""
    with socket.socket() as probe:
        # As servers do: a connection that a former owner closed a moment ago does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def lock_path(folder: Path) -> Path:
    """Return the lock file of a slot's folder."""
    return folder.with_suffix(".lock")


def _hold(folder: Path, ports: tuple[int, ...]) -> Slot | None:
    lock = try_lock(lock_path(folder))
    return None if lock is None else Slot(folder, ports, lock)


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from sorted({path.with_suffix("") for path in parent.iterdir()})
