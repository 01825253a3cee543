"""What a pod tells its peers of a model: how far it is, and by which CIDs it can be asked for."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from ..content.cid import Cid


class State(StrEnum):
    """How far a pod is with the files of one source digest."""

    WAITING = "Waiting"  # wants to open the origin, and waits for its turn
    FETCHING = "Fetching"  # has the origin open
    COMPLETE = "Complete"  # has all of it, verified


@dataclass(frozen=True, slots=True)
class Revision:
    """One model as one pod has it. `turn` orders those that want to open the origin; 0 while it is being chosen."""

    digest: str
    state: State
    turn: int = 0
    received: int = 0  # bytes that have come; with them a pod that goes on is told from one that hangs
    cid: Cid | None = None
    manifest_cid: Cid | None = None

    def encode(self, instance: str) -> bytes:
        """Return it as JSON; `instance` names the pod that says so."""
        value = {
            "instance": instance,
            "digest": self.digest,
            "state": self.state.value,
            "turn": self.turn,
            "bytes": self.received,
            "cid": str(self.cid or ""),
            "manifestCid": str(self.manifest_cid or ""),
        }
        return json.dumps(value).encode()

    @classmethod
    def decode(cls, data: bytes) -> tuple[str, Self]:
        """Return the instance and what it says; raise ValueError or ContentError for anything that encode() does not write."""
        try:
            value: dict[str, Any] = json.loads(data)
            instance, digest, turn, count = value["instance"], value["digest"], value["turn"], value["bytes"]
            cids = [Cid.parse(value[name]) if value[name] else None for name in ("cid", "manifestCid")]
            revision = cls(digest, State(value["state"]), turn, count, *cids)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a revision: {error}") from None
        numbers = type(turn) is int and type(count) is int and 0 <= turn < 1 << 62 and 0 <= count < 1 << 62
        if not numbers or not isinstance(instance, str) or not isinstance(digest, str) or len(instance) > 300:
            raise ValueError("not a revision: a value of the wrong type")
        if revision.state is State.COMPLETE and None in cids:
            raise ValueError("not a revision: complete, and without a CID")
        return instance, revision
