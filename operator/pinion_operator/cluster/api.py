"""The Kubernetes API, raw: JSON in, JSON out, a timeout on every request, a guard before every byte of a write."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
from kubernetes.aio import client

from ..resources.kinds import SUBJECTACCESSREVIEW, Key, Kind, Object, Ref, ref_of
from .credentials import Credentials
from .errors import ApiError, ConflictError, DeniedError, ExpiredError, NotFoundError, UnreachableError, error_for
from .patience import LONGEST, PATIENT, Answer, Patience, wait_after, wait_after_drop
from .service_account import SERVICE_ACCOUNT

JSON, APPLY, MERGE = "application/json", "application/apply-patch+yaml", "application/merge-patch+json"
PAGE = 500  # objects of one list request: bounds the memory of an answer
LISTS = 3  # how often a list is begun at most: it takes too long, and the moment that its pages show is forgotten

T = TypeVar("T")
OnRequest = Callable[[str, str, int, float], None]  # method, plural, HTTP status (0: no answer), seconds


class Api:
    """Requests on Kinds and Refs. Typed models of the client raise on null lists, so answers stay plain JSON.

    A server that asks to come back later is asked again, within the request: neither a pass nor a list is thrown away for it.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        manager: str,
        agent: str,
        timeout: float,
        on_request: OnRequest,
        connections: int = 4,
        patience: Patience = PATIENT,
    ) -> None:
        self.credentials = credentials
        self._gate = asyncio.Semaphore(connections)  # before the clock of a request starts: a full pool is no slow server
        self._transport = client.ApiClient(credentials.settings)
        self._transport.user_agent = agent
        self._manager, self._timeout, self._patience, self._on_request = manager, timeout, patience, on_request
        self.before_write: Callable[[], None] = lambda: None  # the Lease, once there is one: ends a process that lost it
        self.while_waiting: Callable[[], AbstractContextManager[None]] = nullcontext  # entered while a request waits

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
        patience: Patience = PATIENT,
        service_account: Path = SERVICE_ACCOUNT,
    ) -> Self:
        """Return a client for the kubeconfig if one is given, else for the cluster of this pod, else for ~/.kube/config.

        `timeout` limits each attempt, `patience` the waits between them. NoCredentialsError when there is none of the three.
        """

        async def at_the_wire(*_: object) -> None:
            api.before_write()  # a check before the call would be some iterations of the loop too early

        trace = aiohttp.TraceConfig()
        trace.on_request_chunk_sent.append(at_the_wire)
        options = {"connection_pool_maxsize": connections, "trace_configs": [trace]}
        options["client_session_kwargs"] = {
            "trust_env": False
        }  # proxies are for what is outside; it would look at each request
        credentials = await Credentials.load(kubeconfig, service_account, **options)
        api = cls(
            credentials,
            manager=manager,
            agent=agent,
            connections=connections,
            timeout=timeout,
            patience=patience,
            on_request=on_request,
        )
        return api

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def together(self, requests: Iterable[Awaitable[T]]) -> list[T]:
        """Return the answers of requests made at once; the first failure, in their order, is raised when all have ended."""
        requests = tuple(requests)
        if len(requests) < 2:
            return [await request for request in requests]
        with self.while_waiting():
            answers = await asyncio.gather(*requests, return_exceptions=True)
        good: list[T] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            good.append(answer)
        return good

    async def get(self, kind: Kind, key: Key) -> Object | None:
        """Return one object by (namespace, name), or None."""
        try:
            return await self._request("GET", kind, key)
        except NotFoundError:
            return None

    async def _list(self, kind: Kind, namespace: str, selector: str, fields: str) -> tuple[int, list[Object]]:
        items: list[Object] = []
        query = {"labelSelector": selector, "fieldSelector": fields, "limit": str(PAGE), "continue": ""}
        while True:
            page = await self._request("GET", kind, (namespace, ""), query=query)
            named = {"apiVersion": kind.api_version, "kind": kind.name}
            items.extend({**named, **item} for item in page["items"] or ())
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:  # every page shows the same moment
                return int(page["metadata"]["resourceVersion"]), items

    async def list(self, kind: Kind, namespace: str = "", selector: str = "", fields: str = "") -> tuple[int, list[Object]]:
        """Return (the resourceVersion that it is complete up to, the objects of a kind); namespace "" = all namespaces."""
        for _ in range(LISTS - 1):
            with suppress(ExpiredError):
                return await self._list(kind, namespace, selector, fields)
        return await self._list(kind, namespace, selector, fields)

    async def create(self, obj: Object) -> Object:
        """Create; ConflictError when the name is there already."""
        ref = ref_of(obj)
        return await self._request("POST", ref.kind, (ref.namespace, ""), obj, query={"fieldManager": self._manager})

    async def is_free(self, obj: Object) -> bool:
        """Return whether nothing bears the name of an object: creates it for show, which takes no right to read.

        Where admission would not let it be created nobody can tell: False, since it may be there.
        """
        ref = ref_of(obj)
        try:
            await self._request("POST", ref.kind, (ref.namespace, ""), obj, query={"dryRun": "All"})
        except (ConflictError, DeniedError):
            return False
        return True

    async def may(self, verb: str, kind: Kind, subresource: str, namespace: str, *, account: Key) -> bool:
        """Return whether a service account, by (namespace, name), has a right in a namespace, "" = in all of them."""
        where, name = account
        attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "subresource": subresource}
        spec = {
            "user": f"system:serviceaccount:{where}:{name}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{where}", "system:authenticated"],
            "resourceAttributes": {**attributes, "namespace": namespace},
        }
        review = {"apiVersion": SUBJECTACCESSREVIEW.api_version, "kind": SUBJECTACCESSREVIEW.name, "spec": spec}
        answer = await self._request("POST", SUBJECTACCESSREVIEW, ("", ""), review)
        return bool(answer["status"]["allowed"])

    async def apply(self, obj: Object, subresource: str = "", *, dry_run: bool = False) -> Object:
        """Apply on the server's side, taking fields over; a `metadata.resourceVersion` in the object makes it conditional.

        `dry_run`: the API server does all but keep it.
        """
        ref = ref_of(obj)
        query = {"fieldManager": self._manager, "force": "true", "dryRun": "All" if dry_run else ""}
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
        path, query = _path(kind, key, subresource), query or {}
        resource = kind.plural + (f"/{subresource}" if subresource else "")
        reads = method == "GET" or "dryRun" in query
        attempt = drops = 0
        waited = 0.0
        while True:
            attempt += 1
            try:
                answer = await self._attempt(method, path, resource, body, content, query)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                wait, drops = wait_after_drop(error, repeatable=reads or content == APPLY, drops=drops), drops + 1
                failure: ApiError = UnreachableError(f"{method} {path}: {str(error).strip() or type(error).__name__}")
                failure.__cause__ = error
            else:
                if answer.status < 400:
                    return _parse(answer.body, path)
                wait = wait_after(answer, reads=reads, attempt=attempt)
                after = None if answer.asks_for is None else min(LONGEST, answer.asks_for)
                failure = error_for(answer.status, f"{method} {path}: {answer.status} {_message(answer.body)}", after)
            if wait is None or attempt >= self._patience.attempts or waited + wait > self._patience.seconds:
                raise failure
            waited += wait
            with self.while_waiting():
                await asyncio.sleep(wait)

    async def _attempt(
        self, method: str, path: str, resource: str, body: Object | None, content: str, query: Mapping[str, str]
    ) -> Answer:
        async with self._gate:
            started, status = time.monotonic(), 0
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await self._send(method, path, body, content, query)
                status = answer.status
            finally:
                self._on_request(method, resource, status, time.monotonic() - started)
            return answer

    async def _send(self, method: str, path: str, body: Object | None, content: str, query: Mapping[str, str]) -> Answer:
        _, url, headers, payload, _ = await self._transport.param_serialize(
            method,
            path,
            body=body,
            query_params=[(name, value) for name, value in query.items() if value],
            auth_settings=["BearerToken"],  # asks the configuration's hook, which reads a rotated token again
            header_params={"Accept": JSON, "Content-Type": content},
        )
        response = await self._transport.call_api(method, url, headers, payload, _request_timeout=self._timeout)
        return Answer(response.status, response.headers, await response.read())


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
