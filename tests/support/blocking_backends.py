"""Backends as others write them: objects with blocking methods, str ids and whole bytes; one that works, others that lie."""

import threading
from collections.abc import Callable

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid

CODECS = {"raw": RAW, "dag-pb": DAG_PB}


class InMemory:
    """Keeps blocks in a dictionary; a KeyError says that one is not there."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.pins: set[str] = set()
        self.threads: set[int] = set()

    def add_bytes(self, data: bytes, *, pin: bool = True) -> str:
        cid = self.block_put(data)
        if pin:
            self.pin(cid)
        return cid

    def block_put(self, data: bytes, *, codec: str = "raw") -> str:
        self.threads.add(threading.get_ident())
        cid = str(Cid.of_block(CODECS[codec], data))
        self.blocks[cid] = data
        return cid

    def block_get(self, cid: str) -> bytes:
        return self.blocks[cid]

    def cat(self, cid: str) -> bytes:
        return self.blocks[cid]

    def pin(self, cid: str) -> None:
        self.pins.add(cid)

    def unpin(self, cid: str) -> None:
        self.pins.remove(cid)

    def pin_ls(self) -> list[str]:
        return sorted(self.pins)


class OneIdForAll(InMemory):
    def block_put(self, data: bytes, *, codec: str = "raw") -> str:
        return "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"


class MadeUpIds(InMemory):
    def block_put(self, data: bytes, *, codec: str = "raw") -> str:
        return "QmMockHash"


class OtherBytes(InMemory):
    def block_get(self, cid: str) -> bytes:
        return super().block_get(cid) + b"!"


class NoBytes(InMemory):
    def block_get(self, cid: str) -> bytes:
        return "text"  # type: ignore[return-value]  # an object of others that breaks its promise


class Down(InMemory):
    def block_get(self, cid: str) -> bytes:
        raise RuntimeError("no daemon")

    def block_put(self, data: bytes, *, codec: str = "raw") -> str:
        raise RuntimeError("no daemon")


LIARS: dict[str, tuple[Callable[[], InMemory], str]] = {
    "one id for all": (OneIdForAll, "another id than its bytes have"),
    "made-up ids": (MadeUpIds, "what is no CID of ours, 'QmMockHash'"),
    "down": (Down, "add_bytes raises RuntimeError: no daemon"),
}
WRONG_READS: dict[str, tuple[Callable[[], InMemory], str]] = {
    "other bytes": (OtherBytes, "BlockMismatch"),
    "no bytes": (NoBytes, "BackendUnavailable"),
    "down": (Down, "BackendUnavailable"),
    "nothing": (InMemory, "ContentMissing"),
}
