"""The child's HTTP client: what the hub's library lacks is time limits, a count of bytes, and names for what goes wrong."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx2
from huggingface_hub import constants

from ..addresses import AddressPolicy
from ..connection_errors import explain
from ..errors import ContentError, DownloadStalled, NoAnswer, OriginUnreachable
from ..hub_client import transport_for
from ..hub_errors import map_status
from ..token_hosts import TokenHosts

_REPORT_SECONDS = 0.2
_CONNECT_SECONDS = 10.0
RESET = "the connection was broken off"


class Counter:
    """Counts what arrives, on the wire and as the library reports it, and tells the parent a few times a second."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._wire = 0
        self._reported = 0
        self._sent_at = 0.0

    def on_wire(self, count: int) -> None:
        """Take bytes of a response body."""
        with self._lock:
            self._wire += count
        self.alive()

    def on_report(self, count: int) -> None:
        """Take bytes that a progress bar was told of; Xet's own transfers are seen only here."""
        with self._lock:
            self._reported += count
        self.alive()

    def alive(self) -> None:
        """Tell the parent where we are, unless that was just done."""
        now = time.monotonic()
        with self._lock:
            if now - self._sent_at < _REPORT_SECONDS:
                return
            self._sent_at = now
            received = max(self._wire, self._reported)
        self._send("bytes", received=received)

    def wait(self, seconds: float) -> None:
        """Sleep, and show meanwhile that this is no stall."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _REPORT_SECONDS))
            self.alive()

    def bar(self) -> type["_Bar"]:
        """Return a class that huggingface_hub uses as a progress bar."""
        counter = self

        class CountingBar(_Bar):
            def update(self, n: float | None = 1) -> None:
                counter.on_report(int(n or 0))

        return CountingBar


class _Bar:
    """As much of tqdm as the library calls; shows nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.total = kwargs.get("total")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def update(self, n: float | None = 1) -> None:
        """Take progress."""

    def update_transfer(self, n: float | None = 1) -> None:
        """Take progress on the wire, which Xet counts apart."""

    def set_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        """Ignore the caption."""

    def set_transfer_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        """Ignore the caption."""

    def refresh(self) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """Release nothing."""


class OriginClient(httpx2.Client):
    """The library's client with limits. `sizes` are those that the listing announced, by the path of a file's URL.

    Redirects of downloads are followed, as the hub's content network needs; whoever asks, the library too, the token goes
    with requests to `hosts` alone. Where the endpoint is a stranger's, each hop's address is judged.
    """

    def __init__(
        self,
        endpoint: str,
        hosts: TokenHosts,
        sizes: Mapping[str, int],
        counter: Counter,
        stall_seconds: float,
        *,
        policy: AddressPolicy | None,
    ) -> None:
        super().__init__(
            follow_redirects=True,
            timeout=httpx2.Timeout(stall_seconds, connect=min(_CONNECT_SECONDS, stall_seconds)),
            transport=transport_for(endpoint, policy),
            event_hooks={"request": [self._keep_token]},  # called for each hop of a redirect, too
        )
        self._hosts = hosts
        self._policy = policy
        self._sizes = sizes
        self._counter = counter
        self._stall_seconds = stall_seconds

    def send(self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any) -> httpx2.Response:
        """Send as usual; bodies that are streamed are counted, and left when they are silent.

        The library would wait and try again by itself, for a minute and in silence: what it would do so for is raised by its
        name here, and whoever gave us the job decides.
        """
        try:
            response = super().send(request, stream=stream, **kwargs)
        except httpx2.TransportError as error:
            if (named := self._named(error, request)) is None:
                raise
            raise named from error
        if not self._may_use_xet(request, response):
            response.headers.pop(constants.HUGGINGFACE_HEADER_X_XET_HASH, None)
        if response.status_code in (407, 408, 429) or response.status_code >= 500:
            response.close()
            raise map_status(response, request.url.host)
        if request.method == "HEAD" and (size := self._sizes.get(request.url.path)) is not None:
            # What a server says of the length in a HEAD is wrong or missing at times; the commit's tree is what counts.
            response.headers["X-Linked-Size"] = str(size)
        if stream and isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _CountedStream(response.stream, self._counter, self._stall_seconds)
        return response

    def _named(self, error: httpx2.TransportError, request: httpx2.Request) -> ContentError | None:
        """Return what a request without an answer is called, None: as it is; a stranger's hub is told of all alike."""
        told = explain(error, str(request.url))
        if self._policy is not None:
            host = f"{request.url.scheme}://{request.url.netloc.decode()}"
            return NoAnswer(self._policy.no_answer(host), cause=f"{host}: {told}")
        if isinstance(error, httpx2.ReadTimeout):
            kind = OriginUnreachable if request.method == "HEAD" else DownloadStalled
            return kind(f"no answer in time, {self._stall_seconds:g} s at most")
        if isinstance(error, httpx2.TimeoutException | httpx2.NetworkError | httpx2.ProxyError | httpx2.RemoteProtocolError):
            return OriginUnreachable(told)
        return None

    def _keep_token(self, request: httpx2.Request) -> None:
        """Take the token off a request to a host that is not to have it."""
        if not self._hosts.permits(str(request.url)):
            request.headers.pop("Authorization", None)

    def _may_use_xet(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Return whether a file may come by Xet, whose connections are not ours; if not, it comes as any other file.

        They are judged by nobody, and the hub's token goes where the answer says that Xet's own is to be had.
        """
        if self._policy is not None:
            return False
        link = response.links.get(constants.HUGGINGFACE_HEADER_LINK_XET_AUTH_KEY, {})
        route = link.get("url", "") or response.headers.get(constants.HUGGINGFACE_HEADER_X_XET_REFRESH_ROUTE, "")
        home = constants.HUGGINGFACE_CO_URL_HOME  # the library puts the endpoint in its place
        return "Authorization" not in request.headers or route.startswith(home) or self._hosts.permits(route)


class _CountedStream(httpx2.SyncByteStream):
    """Passes chunks through and counts them."""

    def __init__(self, inner: httpx2.SyncByteStream, counter: Counter, stall_seconds: float) -> None:
        self._inner = inner
        self._counter = counter
        self._stall_seconds = stall_seconds

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._counter.on_wire(len(chunk))
                yield chunk
        except httpx2.ReadTimeout as error:
            raise DownloadStalled(f"no byte for {self._stall_seconds:g} s") from error
        except httpx2.ReadError as error:
            # The library goes on where a body ended early, but not after a reset.
            raise httpx2.RemoteProtocolError(f"{RESET}: {error}") from error

    def close(self) -> None:
        """Close the connection's stream."""
        self._inner.close()
