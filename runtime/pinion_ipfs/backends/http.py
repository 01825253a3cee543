"""What the HTTP backends share: one session with timeouts, errors in our words, no redirects."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from ..content.cid import Cid
from ..errors import BackendUnavailable, BlockMismatch, ContentMissing

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 30.0
MAX_BLOCK = 2 * 1024 * 1024
_MESSAGE_BYTES = 4096


class HttpClient:
    """Requests to one base URL. The session belongs to the loop that first uses it."""

    def __init__(self, name: str, base_url: str, *, token: str = "", idle_seconds: float = IDLE_SECONDS) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._idle = idle_seconds
        self._session: aiohttp.ClientSession | None = None

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
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a response with status 200; raise ContentMissing for 404 and 410, BackendUnavailable for all else.

        `total` limits the whole exchange in seconds; without it only silence does.
        """
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(headers=self._headers, auto_decompress=False)
        timeout = aiohttp.ClientTimeout(
            total=total, sock_connect=CONNECT_SECONDS, sock_read=self._idle if total is None else None
        )
        where = f"{self.name} ({self.base_url}{path})"
        try:
            async with self._session.request(
                method,
                self.base_url + path,
                params=params,
                headers=headers,
                data=data,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    message = await _message(response)
                    kind = ContentMissing if response.status in (404, 410) else BackendUnavailable
                    raise kind(f"{where}: HTTP {response.status}{message}")
                yield response
        except TimeoutError as error:
            raise BackendUnavailable(f"{where}: no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise BackendUnavailable(f"{where}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the session and let its sockets go."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)
            self._session = None


async def read_block(response: aiohttp.ClientResponse, cid: Cid) -> bytes:
    """Return a response's body, which must be the block `cid`; raise BlockMismatch for anything else."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_BLOCK:
            raise BlockMismatch(f"a block from {response.url.origin()}", expected=cid, actual=f"more than {MAX_BLOCK} bytes")
    block = bytes(data)
    actual = await asyncio.to_thread(Cid.of_block, cid.codec, block)
    if actual != cid:
        raise BlockMismatch(f"a block from {response.url.origin()}", expected=cid, actual=actual)
    return block


async def _message(response: aiohttp.ClientResponse) -> str:
    """Return what Kubo says of an error, cut short; nothing for a body that is no Kubo error."""
    body = await response.content.read(_MESSAGE_BYTES)
    if response.content_type != "application/json":
        return ""
    try:
        value = json.loads(body)
        return f": {str(value['Message'])[:300]}"
    except (ValueError, KeyError, TypeError):
        return ""
