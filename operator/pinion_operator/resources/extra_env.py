"""Variables of the environment that an installation adds to every container: which may be, and which are ours."""

import json
import re
from collections.abc import Mapping
from typing import Any

MOST = 64

# What our containers set themselves, or what decides where a token goes and whom a connection trusts: said elsewhere.
OURS = frozenset(
    {
        "HOME", "PATH", "TMPDIR", "HF_HOME", "HF_HUB_CACHE", "TORCHINDUCTOR_CACHE_DIR", "OMP_NUM_THREADS",
        "IPFS_PATH", "IPFS_TELEMETRY", "LIBP2P_FORCE_PNET", "GOMEMLIMIT", "SECRETS", "RPC_ADDRESS", "GATEWAY_ADDRESS",
        "STORAGE_MAX",
    }
)  # fmt: skip
INSTEAD = {
    "HF_TOKEN": "a token belongs to one object: its tokenSecretRef",
    "HUGGING_FACE_HUB_TOKEN": "a token belongs to one object: its tokenSecretRef",
    "HF_ENDPOINT": "hub.endpoint says it",
    "SSL_CERT_FILE": "extraCA says it",
    "SSL_CERT_DIR": "extraCA says it",
}

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]{0,252}", re.ASCII)
_SOURCES = {"secretKeyRef", "configMapKeyRef"}


def parse_extra_env(text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the entries of a JSON list, in the form that containers have them; ValueError says which cannot be, and why."""
    try:
        entries = json.loads(text or "[]")
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(entries, list) or len(entries) > MOST:
        raise ValueError(f"not a list of {MOST} entries at most")
    names = set[str]()
    for number, entry in enumerate(entries):
        if problem := _problem(entry):
            raise ValueError(f"entry {number}: {problem}")
        if entry["name"] in names:
            raise ValueError(f"entry {number}: {entry['name']} is there twice")
        names.add(entry["name"])
    return tuple(entries)


def _problem(entry: Any) -> str:
    """Return why an entry cannot be, "" when it can."""
    match entry:
        case {"name": str(name), "value": str(), **rest} if not rest:
            pass
        case {"name": str(name), "valueFrom": {**source}, **rest} if not rest and _is_reference(source):
            pass
        case _:
            return "it must have a name and a value, or a name and valueFrom with secretKeyRef or configMapKeyRef"
    if not _NAME.fullmatch(name):
        return f"{name[:80]!r} is no name of a variable"
    if name in OURS or name.startswith("PINION_"):
        return f"{name} is set by Pinion itself"
    if name.upper().endswith("_PROXY"):
        return f"{name}: proxy.http, proxy.https and proxy.noProxy say it"
    return f"{name}: {INSTEAD[name]}" if name in INSTEAD else ""


def _is_reference(source: Mapping[Any, Any]) -> bool:
    match list(source.items()):
        case [(kind, {"name": str(), "key": str(), **rest})] if kind in _SOURCES:
            return not rest or (set(rest) == {"optional"} and isinstance(rest["optional"], bool))
    return False
