"""The Kubernetes API, raw: JSON in, JSON out, a timeout on every request, a guard before every byte of a write."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from kubernetes.aio import client

from ..resources.kinds import Key, Kind, Object, Ref, ref_of
from .credentials import Credentials
from .errors import ApiError, ConflictError, NotFoundError, UnreachableError, error_for
from .service_account import SERVICE_ACCOUNT

JSON, APPLY, MERGE = "application/json", "application/apply-patch+yaml", "application/merge-patch+json"
PAGE = 500  # objects of one list request: bounds the memory of an answer

OnRequest = Callable[[str, str, int, float], None]  # method, plural, HTTP status (0: no answer), seconds


class Api:
    """Requests on Kinds and Refs. Typed models of the client raise on null lists, so answers stay plain JSON."""

    def __init__(self, credentials: Credentials, *, manager: str, agent: str, timeout: float, on_request: OnRequest) -> None:
        self.credentials = credentials
        self._transport = client.ApiClient(credentials.settings)
        self._transport.user_agent = agent
        self._manager, self._timeout, self._on_request = manager, timeout, on_request
        self.before_write: Callable[[], None] = lambda: None  # the Lease, once there is one: ends a process that lost it

    @classmethod
    async def connect(
        cls,
        *,
        kubeconfig: str,
        agent: str,
        connections: int,
        manager: str,
        timeout: float,
        on_request: OnRequest,
        service_account: Path = SERVICE_ACCOUNT,
    ) -> Self:
        """Return a client for the kubeconfig if one is given, else for the cluster of this pod, else for ~/.kube/config.

        NoCredentialsError when there is none of the three.
        """

        async def at_the_wire(*_: object) -> None:
            api.before_write()  # a check before the call would be some iterations of the loop too early

        trace = aiohttp.TraceConfig()
        trace.on_request_chunk_sent.append(at_the_wire)
        options = {"connection_pool_maxsize": connections, "trace_configs": [trace]}
        credentials = await Credentials.load(kubeconfig, service_account, **options)
        api = cls(credentials, manager=manager, agent=agent, timeout=timeout, on_request=on_request)
        return api

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def get(self, kind: Kind, key: Key) -> Object | None:
        """Return one object by (namespace, name), or None."""
        try:
            return await self._request("GET", kind, key)
        except NotFoundError:
            return None

    async def list(self, kind: Kind, namespace: str = "", selector: str = "", fields: str = "") -> tuple[int, list[Object]]:
        """Return (the resourceVersion that it is complete up to, the objects of a kind); namespace "" = all namespaces."""
        items: list[Object] = []
        query = {"labelSelector": selector, "fieldSelector": fields, "limit": str(PAGE), "continue": ""}
        while True:
            page = await self._request("GET", kind, (namespace, ""), query=query)
            named = {"apiVersion": kind.api_version, "kind": kind.name}
            items.extend({**named, **item} for item in page["items"] or ())
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:  # every page shows the same moment
                return int(page["metadata"]["resourceVersion"]), items

    async def create(self, obj: Object) -> Object:
        """Create; ConflictError when the name is there already."""
        ref = ref_of(obj)
        return await self._request("POST", ref.kind, (ref.namespace, ""), obj, query={"fieldManager": self._manager})

    async def is_free(self, obj: Object) -> bool:
        """Return whether nothing bears the name of an object: creates it for show, which takes no right to read."""
        ref = ref_of(obj)
        try:
            await self._request("POST", ref.kind, (ref.namespace, ""), obj, query={"dryRun": "All"})
        except ConflictError:
            return False
        return True

    async def apply(self, obj: Object, subresource: str = "") -> Object:
        """Apply on the server's side, taking fields over; a `metadata.resourceVersion` in the object makes it conditional."""
        ref = ref_of(obj)
        query = {"fieldManager": self._manager, "force": "true"}
        return await self._request("PATCH", ref.kind, ref[1:], obj, content=APPLY, query=query, subresource=subresource)

    async def replace(self, obj: Object) -> Object:
        """Put the whole object; its resourceVersion decides (ConflictError)."""
        ref = ref_of(obj)
        return await self._request("PUT", ref.kind, ref[1:], obj)

    async def patch(self, ref: Ref, body: Object, *, resource_version: str) -> Object:
        """Merge-patch an object as it was at this resourceVersion; ConflictError when it has changed since."""
        body = {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": resource_version}}
        return await self._request("PATCH", ref.kind, ref[1:], body, content=MERGE)

    async def delete(self, ref: Ref, *, uid: str = "") -> bool:
        """Delete this very object in the background; return False when it was gone, or replaced by another, before.

        Without `uid`, which takes a right to read, whatever bears the name.
        """
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        body |= {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self._request("DELETE", ref.kind, ref[1:], body)
        except (NotFoundError, ConflictError):
            return False
        return True

    async def _request(
        self,
        method: str,
        kind: Kind,
        key: Key,
        body: Object | None = None,
        *,
        content: str = JSON,
        query: Mapping[str, str] | None = None,
        subresource: str = "",
    ) -> dict[str, Any]:
        path, started, status = _path(kind, key, subresource), time.monotonic(), 0
        try:
            async with asyncio.timeout(self._timeout):
                status, retry_after, data = await self._send(method, path, body, content, query or {})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"{method} {path}: {str(error).strip() or type(error).__name__}") from error
        finally:
            self._on_request(
                method, kind.plural + (f"/{subresource}" if subresource else ""), status, time.monotonic() - started
            )
        if status >= 400:
            raise error_for(status, f"{method} {path}: {status} {_message(data)}", retry_after)
        return _parse(data, path)

    async def _send(
        self, method: str, path: str, body: Object | None, content: str, query: Mapping[str, str]
    ) -> tuple[int, float | None, bytes]:
        _, url, headers, payload, _ = await self._transport.param_serialize(
            method,
            path,
            body=body,
            query_params=[(name, value) for name, value in query.items() if value],
            auth_settings=["BearerToken"],  # asks the configuration's hook, which reads a rotated token again
            header_params={"Accept": JSON, "Content-Type": content},
        )
        response = await self._transport.call_api(method, url, headers, payload, _request_timeout=self._timeout)
        after = response.headers.get("Retry-After", "")
        return response.status, float(after) if after.isdigit() else None, await response.read()


def _path(kind: Kind, key: Key, subresource: str) -> str:
    namespace, name = key
    parts = [f"/apis/{kind.group}" if kind.group else "/api", kind.version]
    parts += ["namespaces", quote(namespace, safe="")] if namespace else []
    parts += [kind.plural, *(quote(part, safe="") for part in (name, subresource) if part)]
    return "/".join(parts)


def _message(data: bytes) -> str:
    """Return what the server says, cut to a length for a log line."""
    try:
        text = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        text = data.decode(errors="replace")
    return text[:500]


def _parse(data: bytes, path: str) -> dict[str, Any]:
    try:
        return dict(json.loads(data))
    except (ValueError, TypeError) as error:
        raise ApiError(f"{path}: the answer is not a JSON object") from error
