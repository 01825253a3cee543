"""What the HTTP backends share: one session with timeouts, errors in our words, no redirects."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import aiohttp.abc

from ..content.cid import Cid
from ..errors import BackendUnauthorized, BackendUnavailable, BlockMismatch, ContentMissing
from ..net.addresses import AddressPolicy, Resolve, check_url, resolve_checked
from ..net.connection_errors import explain
from ..net.proxies import check_before_proxy, proxy_for
from ..net.trust import tls_context
from ..program.arguments import token_problem

CONNECT_SECONDS = 5.0
STALL_SECONDS = 30.0
MAX_BLOCK = 2 * 1024 * 1024
_MESSAGE_BYTES = 4096

_log = logging.getLogger(__name__)


Token = str | Callable[[str], str]  # a bearer token, or who gives it for a base URL; "" = none


class HttpClient:
    """Requests to one base URL. Each loop that uses it has a session of its own, and one at a time does.

    A token that is given for the URL is asked for with each request, in a thread: it may have changed, and may be refused.
    A stream that is silent for `stall_seconds` is dropped. With a policy the URL is somebody else's: each address is judged as
    it is connected to, and whatever happens before there is an answer is told alike. The log has the cause.
    Where the environment names a proxy for it, that one connects, and decides what can be reached; with `direct` none is asked.
    `token_source` says in messages where the token comes from: the name of a variable, a Secret, a file.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        token: Token = "",
        stall_seconds: float = STALL_SECONDS,
        policy: AddressPolicy | None = None,
        direct: bool = False,
        token_source: str = "",
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._token_source = token_source
        self._stall = stall_seconds
        self._policy = policy
        self._proxy = "" if direct else proxy_for(base_url)
        self._encrypted = base_url.startswith("https:")
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # that of the session
        self._left: list[aiohttp.ClientSession] = []

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        total: float | None = None,
        status: int = 200,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a response with this status; raise ContentMissing for 404 and 410, BackendUnavailable for all else.

        Of these BackendUnauthorized is for 401 and 403, and for a token that no header can hold.
        `total` limits the whole exchange in seconds; without it only silence does.
        """
        session = self._open_session()
        timeout = aiohttp.ClientTimeout(
            total=total, sock_connect=CONNECT_SECONDS, sock_read=self._stall if total is None else None
        )
        where = f"{self.name} ({self.base_url}{path})"
        token = self._token if isinstance(self._token, str) else await asyncio.to_thread(self._token, self.base_url)
        if token and (problem := token_problem(token)):
            raise BackendUnauthorized(f"{where}: {self._token_name()}: {problem}")
        proof = {"Authorization": f"Bearer {token}"} if token else {}
        answered = False
        try:
            if self._proxy and self._policy is not None:
                host = urlsplit(self.base_url)
                await asyncio.to_thread(check_before_proxy, host.hostname or "", host.port or 0, self._policy)
            async with session.request(
                method,
                self.base_url + path,
                params=params,
                headers={**(headers or {}), **proof},
                data=data,
                timeout=timeout,
                allow_redirects=False,
                proxy=self._proxy or None,
                ssl=tls_context() if self._encrypted else True,
            ) as response:
                answered = True
                if response.status != status:
                    raise await self._refused(response, where, bool(token))
                yield response
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            if self._policy is not None and not answered:
                _log.warning("%s: %s", where, explain(error, self.base_url))
                raise BackendUnavailable(self._policy.no_answer(self.base_url)) from error
            raise BackendUnavailable(f"{where}: {self._explain(error)}") from error

    async def _refused(self, response: aiohttp.ClientResponse, where: str, with_token: bool) -> BackendUnavailable:
        body = b"" if 300 <= response.status < 400 else await response.content.read(_MESSAGE_BYTES)
        kind, words = BackendUnavailable, ""
        if response.status in (404, 410):
            kind = ContentMissing
        elif response.status in (401, 403):
            kind, none = BackendUnauthorized, "no token was sent"
            none += f", for there is none in {self._token_source}" if self._token_source else ""
            words = f" (Unauthorized: {f'{self._token_name()} is not accepted' if with_token else none})"
        error = kind(f"{where}: HTTP {response.status}{words}{_message(response, body)}")
        error.status, error.body = response.status, body
        return error

    def _token_name(self) -> str:
        return f"the token in {self._token_source}" if self._token_source else "the token that was sent"

    def _explain(self, error: Exception) -> str:
        if isinstance(error, aiohttp.SocketTimeoutError):
            return f"no byte for {self._stall:g} s"
        return "no answer in time" if isinstance(error, TimeoutError) else explain(error, self.base_url)

    def _open_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # After a fork it is the parent's: to close one of its sockets here would take it from the epoll that both share.
            self._left += [self._session] if self._session is not None and not self._session.closed else []
            self._loop, self._session = loop, None
        if self._session is None or self._session.closed:
            connector = None
            if self._policy is not None:
                check_url(self.base_url, what=f"the URL of {self.name}")
            if self._policy is not None and not self._proxy:
                connector = aiohttp.TCPConnector(
                    resolver=CheckedResolver(self._policy), socket_factory=self._policy.make_socket
                )
            self._session = aiohttp.ClientSession(auto_decompress=False, connector=connector)
        return self._session

    async def close(self) -> None:
        """Close the session and let its sockets go."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)
            self._session = None


class CheckedResolver(aiohttp.abc.AbstractResolver):
    """Gives those addresses of a name that may be connected to."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve = socket.getaddrinfo) -> None:
        self._policy = policy
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """Return the addresses; raise OSError when there is none."""
        found = await asyncio.to_thread(resolve_checked, host, port, self._policy, self._resolve)
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host=text,
                port=port,
                family=socket.AF_INET6 if ":" in text else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for text in found
        ]

    async def close(self) -> None:
        """Release nothing."""


async def read_block(response: aiohttp.ClientResponse, cid: Cid, source: str) -> bytes:
    """Return a response's body, which must be the block `cid`; raise BlockMismatch for anything else."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_BLOCK:
            more = f"more than {MAX_BLOCK} bytes"
            raise BlockMismatch(f"a block from {response.url.origin()}", expected=cid, actual=more, source=source)
    block = bytes(data)
    actual = await asyncio.to_thread(cid.of_other, block)
    if actual != cid:
        raise BlockMismatch(f"a block from {response.url.origin()}", expected=cid, actual=actual, source=source)
    return block


def _message(response: aiohttp.ClientResponse, body: bytes) -> str:
    """Return what Kubo says of an error, cut short, or that a redirect is not followed; nothing for any other body."""
    if 300 <= response.status < 400:
        return ": a redirect, which is not followed"
    if response.content_type != "application/json":
        return ""
    try:
        value = json.loads(body)
        return f": {str(value['Message'])[:300]}"
    except (ValueError, KeyError, TypeError):
        return ""
