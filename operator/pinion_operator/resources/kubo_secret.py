"""The Secrets of a managed Kubo: swarm key and tokens, derived from the operator's key, and the one token for runtime pods."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from .kinds import Object
from .names import APP_NAME, BACKEND_LABEL, kubo_client_secret, kubo_name
from .owner import build_child, digest

SWARM_KEY, OPERATOR_TOKEN, CLIENT_TOKEN = "swarm.key", "operator-token", "client-token"
TOKEN = "token"  # the key in the Secret of the runtime pods


@dataclass(frozen=True)
class Credentials:
    """What only this Kubo, the operator and (the client token) the namespace's runtime pods know."""

    swarm_key: str  # as the file swarm.key holds it
    operator_token: str  # may call everything
    client_token: str  # may call what pinning a model takes

    def __repr__(self) -> str:
        """Show nothing: objects end up in logs and test reports."""
        return "Credentials(...)"


def derive_credentials(key: bytes, uid: str) -> Credentials:
    """Return what the operator's key and an IpfsBackend's uid lead to, always the same."""

    def part(what: str) -> bytes:
        return hmac.new(key, f"{uid}/{what}".encode(), hashlib.sha256).digest()

    return Credentials(format_swarm_key(part("swarm")), part("operator").hex(), part("client").hex())


def kubo_secret_name(backend: str, credentials: Credentials) -> str:
    """Return the Secret that Kubo's own pod mounts; its name tells the content, which nobody else can foresee."""
    values = (credentials.swarm_key, credentials.operator_token, credentials.client_token)
    return f"{kubo_name(backend)}-{digest(values)[:8]}"


def format_swarm_key(key: bytes) -> str:
    """Return the file swarm.key for a key of 32 bytes."""
    return f"/key/swarm/psk/1.0.0/\n/base16/\n{key.hex()}\n"


def build_kubo_secret(owner: Object, credentials: Credentials) -> dict[str, Any]:
    """Return the Secret that Kubo's own pod mounts."""
    values = {
        SWARM_KEY: credentials.swarm_key,
        OPERATOR_TOKEN: credentials.operator_token,
        CLIENT_TOKEN: credentials.client_token,
    }
    return _build(owner, kubo_secret_name(owner["metadata"]["name"], credentials), values)


def build_kubo_client_secret(owner: Object, token: str) -> dict[str, Any]:
    """Return the Secret that runtime pods mount."""
    return _build(owner, kubo_client_secret(owner["metadata"]["name"]), {TOKEN: token})


def _build(owner: Object, name: str, values: dict[str, str]) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    labels = {APP_NAME: "kubo", BACKEND_LABEL: owner["metadata"]["name"]}
    child = build_child(owner, "v1", "Secret", name, {"type": "Opaque", "data": data}, labels=labels)
    del child["metadata"]["annotations"]  # the digest: nothing compares what is made once, and it would speak of the content
    return child


def read_value(secret: Object, key: str) -> str:
    """Return one value of a Secret as text; "" when it is missing or no text."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key, ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
