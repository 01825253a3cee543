"""The child's HTTP client: what the hub's library lacks is time limits, a count of bytes, and names for what goes wrong."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import constants

from ..errors import ContentError, DownloadStalled, NoAnswer, OriginUnreachable
from ..hub.client import transport_for
from ..hub.errors import map_status
from ..hub.identity import Commit
from ..hub.listing import HubFile
from ..hub.redirects import is_upgrade, next_urls, origin
from ..net.addresses import AddressPolicy
from ..net.connection_errors import explain
from ..net.token_hosts import TokenHosts
from .counting import Counter
from .xet import Xet

__all__ = ["RESET", "Counter", "Head", "OriginClient"]

_CONNECT_SECONDS = 10.0
_MAX_HOPS = 5
RESET = "the connection was broken off"


@dataclass(frozen=True)
class Head:
    """What is known of a file without asking: the header that the library reads before a download."""

    headers: Mapping[str, str]
    large: bool  # stored beside git: it may come by Xet

    @classmethod
    def of(cls, file: HubFile, commit: Commit) -> "Head":
        """Return what a hub's answer would say of a file that its list has announced."""
        named = f'"{file.etag}"'
        told = {"ETag": named, "X-Linked-Etag": named, "X-Linked-Size": str(file.size), "X-Repo-Commit": str(commit)}
        return cls(told, file.lfs_sha256 is not None)


class OriginClient(httpx2.Client):
    """The library's client with limits. `heads` are of the files that the listing announced, by the path of a file's URL.

    The head of such a file is not asked for, unless it may say that the file comes by Xet: what servers say there of lengths
    and names is wrong or missing at times, and the commit's list is what counts.
    Redirects of downloads are followed, as the hub's content network needs; whoever asks, the library too, the token goes
    with requests to `hosts` alone. Where the endpoint is a stranger's, each hop's address is judged.
    """

    def __init__(
        self,
        endpoint: str,
        hosts: TokenHosts,
        heads: Mapping[str, Head],
        counter: Counter,
        stall_seconds: float,
        *,
        policy: AddressPolicy | None,
        xet: Xet | None = None,
    ) -> None:
        super().__init__(
            follow_redirects=True,
            timeout=httpx2.Timeout(stall_seconds, connect=min(_CONNECT_SECONDS, stall_seconds)),
            transport=transport_for(endpoint, policy),
            # Called for each hop of a redirect, too.
            event_hooks={"request": [self._keep_token], "response": [self._keep_to_hub]},
        )
        self._endpoint = endpoint
        self._hosts = hosts
        self._policy = policy
        self._heads = heads
        self._counter = counter
        self._stall_seconds = stall_seconds
        self._xet = xet or Xet(allowed=False)

    def send(self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any) -> httpx2.Response:
        """Send as usual; bodies that are streamed are counted, and left when they are silent.

        The library would wait and try again by itself, for a minute and in silence: what it would do so for is raised by its
        name here, and whoever gave us the job decides.
        """
        if request.method == "HEAD" and (head := self._heads.get(request.url.path)) is not None:
            asks = head.large and self._xet.on and self._policy is None
            return self._ask_for_xet(request, head) if asks else httpx2.Response(200, headers=head.headers, request=request)
        try:
            response = super().send(request, stream=stream, **kwargs)
        except httpx2.TransportError as error:
            if (named := self._named(error, request)) is None:
                raise
            raise named from error
        if response.status_code in (407, 408, 429) or response.status_code >= 500:
            response.close()
            raise map_status(response, request.url.host)
        if stream and isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _CountedStream(response.stream, self._counter, self._stall_seconds)
        return response

    def _ask_for_xet(self, request: httpx2.Request, head: Head) -> httpx2.Response:
        """Return the head of a file, with what offers it by Xet where it is offered, or the answer that refuses it.

        Whatever else is answered, the download itself will tell: some servers have no heads.
        """
        asked, plain = request, httpx2.Response(200, headers=head.headers, request=request)
        for _ in range(_MAX_HOPS):
            try:
                response = super().send(asked, follow_redirects=False)
            except httpx2.TransportError:
                break
            if response.status_code == 429:
                raise map_status(response, asked.url.host)
            if response.status_code in (401, 403):
                return response
            if constants.HUGGINGFACE_HEADER_X_XET_HASH in response.headers:
                if self._may_use_xet(asked, response):
                    self._xet.promise(request.url.path)
                    plain.headers.update({name: response.headers[name] for name in _XET_HEADERS if name in response.headers})
                break
            following = response.next_request
            if following is None or following.url.host != asked.url.host:
                break
            asked = following
        return plain

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
        clear = request.url.copy_with(scheme="http", port=None)
        if self._hosts.permits(str(request.url)):
            return
        if is_upgrade(clear, request.url) and self._hosts.permits(str(clear)):
            return  # who may have it in the clear may have it by TLS
        request.headers.pop("Authorization", None)

    def _keep_to_hub(self, response: httpx2.Response) -> None:
        """Let a redirect that means the hub itself lead there, whatever the hub calls itself."""
        url = response.request.url
        if not response.has_redirect_location or origin(url) != origin(httpx2.URL(self._endpoint)):
            return
        with contextlib.suppress(httpx2.InvalidURL):  # the library names that
            if following := next_urls(url, response.headers["Location"], self._endpoint):
                response.headers["Location"] = str(following[0])

    def _may_use_xet(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Return whether a file may come by Xet, whose connections are not ours; if not, it comes as any other file.

        The hub's token goes where the answer says that Xet's own is to be had.
        """
        link = response.links.get(constants.HUGGINGFACE_HEADER_LINK_XET_AUTH_KEY, {})
        route = link.get("url", "") or response.headers.get(constants.HUGGINGFACE_HEADER_X_XET_REFRESH_ROUTE, "")
        home = constants.HUGGINGFACE_CO_URL_HOME  # the library puts the endpoint in its place
        return "Authorization" not in request.headers or route.startswith(home) or self._hosts.permits(route)


_XET_HEADERS = (
    constants.HUGGINGFACE_HEADER_X_XET_HASH,
    constants.HUGGINGFACE_HEADER_X_XET_REFRESH_ROUTE,
    "Link",
)


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
