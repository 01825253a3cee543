"""What the API server's own audit log says about writes: who, when, what. No program under test can polish it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

READS = {"get", "list", "watch"}
NO_DECISIONS = {"leases", "events"}


@dataclass(frozen=True)
class Written:
    """One write that the API server has answered."""

    at: str  # when the request came in, RFC 3339 with microseconds: sorts as text
    agent: str
    verb: str
    resource: str  # plural, with the subresource
    name: str
    status: int
    message: str = ""  # of the API server, for a write that it refused


def writes(log: Path, namespace: str, *, agent: str = "pinion-operator/", all_resources: bool = False) -> list[Written]:
    """Return the writes of programs whose user agent begins so in a namespace; Lease and Events only when asked for."""
    found = []
    for line in log.read_text().splitlines():
        entry = json.loads(line) if line.endswith("}") else {}  # the last line may be half written
        target = entry.get("objectRef", {})
        if target.get("namespace") != namespace or entry["verb"] in READS or not entry.get("userAgent", "").startswith(agent):
            continue
        if "dryRun=All" in entry.get("requestURI", ""):
            continue
        if target["resource"] in NO_DECISIONS and not all_resources:
            continue
        resource = "/".join(part for part in (target["resource"], target.get("subresource")) if part)
        came, who, name = entry["requestReceivedTimestamp"], entry["userAgent"], target.get("name", "")
        answer = entry.get("responseStatus", {})
        status, message = answer.get("code", 0), answer.get("message", "")
        found.append(Written(came, who, entry["verb"], resource, name, status, message))
    return sorted(found, key=lambda one: one.at)


def turns(written: Iterable[Written]) -> list[str]:
    """Return the writers in the order of their turns: a writer that is in it twice wrote again after another had begun."""
    order: list[str] = []
    for one in written:
        if not order or order[-1] != one.agent:
            order.append(one.agent)
    return order
