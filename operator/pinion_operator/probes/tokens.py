"""Bearer tokens in Secrets of the namespace, and to whom each may be sent."""

import base64
import binascii
from dataclasses import dataclass, field

from pinion_ipfs.errors import TokenRefused
from pinion_ipfs.hub.revisions import default_endpoint
from pinion_ipfs.net.token_hosts import KEY, TokenHosts

from ..conditions import Reason
from ..reconcile.model.source import Unresolved
from ..resources.kinds import Object
from ..resources.kubo_secret import read_value

FINAL_AGAIN = 60.0  # seconds: a repository may be made, or access be granted, and nobody would tell us


@dataclass(frozen=True)
class Credential:
    """A token of one Secret, read in one moment with its hosts."""

    token: str = field(default="", repr=False)  # "" = none
    hosts: TokenHosts | None = None  # None: there is no token


def read_hub_token(secret: Object | None, name: str, key: str, namespace: str, hub_endpoint: str) -> Credential | Unresolved:
    """Return the token in a Secret, or why there is none; where it names no hosts, the operator's own hub has the token."""
    if secret is None:
        return no_token(f"Secret {name!r} of tokenSecretRef does not exist")
    try:
        token = base64.b64decode(secret.get("data", {})[key], validate=True).decode("ascii").strip()
    except KeyError:
        return no_token(f"Secret {name!r} of tokenSecretRef has no key {key!r}")
    except (binascii.Error, UnicodeDecodeError):
        return no_token(f"Secret {name!r} of tokenSecretRef: what is under {key!r} is not a token")
    if not token or not token.isprintable():
        return no_token(f"Secret {name!r} of tokenSecretRef: what is under {key!r} is not a token")
    return Credential(token, _hosts(secret, name, namespace, default_endpoint(hub_endpoint)))


def no_token(message: str) -> Unresolved:
    """Return what a token that cannot be had means."""
    return Unresolved(Reason.UNAUTHORIZED, message, final=True, again_in=FINAL_AGAIN)


def read_backend_token(secret: Object, name: str, key: str, namespace: str) -> Credential:
    """Return the token of somebody else's backend, "" where there is none; who names no hosts sends it to nobody."""
    token = read_value(secret, key).strip()
    return Credential(token if token.isascii() and token.isprintable() else "", _hosts(secret, name, namespace, ""))


def refusal(credential: Credential, url: str) -> str:
    """Return why a token may not be sent to a URL, with what allows it; "" when it may, or there is none."""
    if credential.token and credential.hosts is not None:
        try:
            credential.hosts.check(url)
        except TokenRefused as error:
            return str(error)
    return ""


def _hosts(secret: Object, name: str, namespace: str, default: str) -> TokenHosts:
    text = read_value(secret, KEY) if KEY in (secret.get("data") or {}) else None
    return TokenHosts.of_secret(text, secret=name, namespace=namespace, default=default)
