"""The operator's own secret, from which it derives what its daemons are told: so it never reads a Secret of theirs."""

import base64
import binascii
import secrets

from ..resources.kinds import SECRET, Object
from .api import Api
from .errors import ApiError, ConflictError

_BYTES = 32


class OwnKey:
    """32 random bytes in a Secret beside the Lease: made by the first operator, read once by each."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api, self._namespace, self._name = api, namespace, name
        self._value = b""

    async def get(self) -> bytes:
        """Return the key; ApiError when it can be neither read nor made."""
        if not self._value:
            self._value = _read(await self._read_or_make())
        return self._value

    async def _read_or_make(self) -> Object:
        key = (self._namespace, self._name)
        if (known := await self._api.get(SECRET, key)) is not None:
            return known
        data = {"key": base64.b64encode(secrets.token_bytes(_BYTES)).decode()}
        meta = {"namespace": self._namespace, "name": self._name}
        try:
            return await self._api.create(
                {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "immutable": True, "data": data}
            )
        except ConflictError:  # another operator was faster
            return await self._api.get(SECRET, key) or {}


def _read(secret: Object) -> bytes:
    try:
        value = base64.b64decode((secret.get("data") or {}).get("key", ""), validate=True)
    except (binascii.Error, TypeError):
        value = b""
    if len(value) < _BYTES:
        name = "/".join(secret.get("metadata", {}).get(part, "") for part in ("namespace", "name"))
        raise ApiError(f"Secret {name} has no `key` of {_BYTES} bytes: delete it, and the operator makes another")
    return value
