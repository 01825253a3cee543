"""HTTP towards a hub: each address judged as it is connected to, no redirect to another host, answers of bounded length."""

import json
import logging
import time
from types import TracebackType
from typing import Any

import httpx2
from huggingface_hub import hf_raise_for_status, is_offline_mode

from ..errors import NoAnswer, OriginUnreachable, Unauthorized
from ..net.addresses import AddressPolicy, check_url, resolve_checked
from ..net.connection_errors import explain
from ..net.proxies import check_before_proxy, proxy_for
from ..net.trust import tls_context
from .redirects import next_urls

MAX_ANSWER = 32 * 1024 * 1024  # bytes; the listing of 100,000 files
TIMEOUTS = 6.0  # of one request, that all requests of one question may take together
_USER_AGENT = "pinion"
_MAX_REDIRECTS = 5  # of a renamed repository
_PORTS = {"http": 80, "https": 443}

_log = logging.getLogger(__name__)


class CheckedTransport(httpx2.HTTPTransport):
    """Connects to the addresses that a policy lets a stranger choose: the one that was judged is the one that is used.

    Where the environment names a proxy for a host, that one connects, and decides what can be reached.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        super().__init__(verify=tls_context())
        self._policy = policy
        self._proxied: dict[str, httpx2.HTTPTransport] = {}  # by the proxy's URL

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._close_proxied()

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        super().__exit__(exc_type, exc_value, traceback)
        self._close_proxied()

    def _close_proxied(self) -> None:
        for transport in self._proxied.values():
            transport.close()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Resolve the name, and send the request to the first address that takes it; TLS still checks the name."""
        host, port = request.url.host, request.url.port or _PORTS.get(request.url.scheme, 0)
        try:
            if proxy := proxy_for(str(request.url)):
                check_before_proxy(host, port, self._policy)
                return self._through(proxy).handle_request(request)
            addresses = resolve_checked(host, port, self._policy)
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(f"{host}: {error}", request=request) from error
        extensions = {**request.extensions, "sni_hostname": host}
        for number, address in enumerate(addresses, 1):
            url = request.url.copy_with(host=address)
            sent = httpx2.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
            try:
                return super().handle_request(sent)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise AssertionError("unreachable: a name that resolves has an address")

    def _through(self, proxy: str) -> httpx2.HTTPTransport:
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx2.HTTPTransport(verify=tls_context(), proxy=proxy)
        return self._proxied[proxy]


def transport_for(url: str, policy: AddressPolicy | None) -> httpx2.HTTPTransport | None:
    """Return the transport for a hub, None for the library's own. Raises AddressRefused."""
    if policy is None:
        return None
    check_url(url, what="endpoint")
    return CheckedTransport(policy)


def _no_answer(url: str, policy: AddressPolicy, error: Exception) -> NoAnswer:
    cause = f"{url}: {explain(error, url)}"
    _log.warning("%s", cause)
    return NoAnswer(policy.no_answer(url), cause=cause)


class HubClient:
    """Asks one hub with one token, blocking; all requests together end before `deadline` (of the monotonic clock).

    What is wrong with an answer is raised as `hf_raise_for_status` and httpx2 have it, and as ContentErrors. Of a stranger's
    endpoint whatever keeps it from answering is NoAnswer; the log has the cause.
    """

    def __init__(self, endpoint: str, token: str, timeout: float, policy: AddressPolicy | None) -> None:
        self.endpoint, self.token, self.timeout = endpoint, token, timeout
        self.deadline = time.monotonic() + TIMEOUTS * timeout
        self._policy = policy

    def url(self, path: str, **params: str) -> httpx2.URL:
        """Return the address of a path of the hub."""
        return httpx2.URL(self.endpoint + path, params=params or None)

    def get(self, url: httpx2.URL, *, token: bool = True) -> httpx2.Response:
        """Return a good answer, read whole; `token` False asks as a stranger would."""
        return self._ask("GET", url, self.token if token else "")

    def probe(self, method: str, url: httpx2.URL) -> httpx2.Response:
        """Return a good answer without its body, or the redirect to another host; a GET asks for one byte."""
        return self._ask(method, url, self.token, body=False)

    def _ask(self, method: str, url: httpx2.URL, token: str, *, body: bool = True) -> httpx2.Response:
        if is_offline_mode():
            raise OriginUnreachable(f"{self.endpoint}: HF_HUB_OFFLINE is set, so it is not asked")
        if time.monotonic() > self.deadline:
            raise httpx2.ReadTimeout("the answers take too long")
        try:
            answer = self._follow(method, url, token, body=body)
        except httpx2.TransportError as error:
            if self._policy is None:
                raise
            raise _no_answer(self.endpoint, self._policy, error) from error
        hf_raise_for_status(answer)
        return answer

    def _follow(self, method: str, url: httpx2.URL, token: str, *, body: bool) -> httpx2.Response:
        transport, deadline = (
            transport_for(self.endpoint, self._policy),
            min(self.deadline, time.monotonic() + 2 * self.timeout),
        )
        headers = _headers(token) | ({} if body or method == "HEAD" else {"Range": "bytes=0-0"})
        others: tuple[httpx2.URL, ...] = ()  # where else the last redirect may have meant
        with httpx2.Client(transport=transport, timeout=self.timeout, verify=tls_context()) as client:
            for _ in range(_MAX_REDIRECTS + 1):
                with client.stream(method, url, headers=headers) as response:
                    if response.status_code == 404 and others:
                        url, *rest = others
                        others = tuple(rest)
                    elif not response.has_redirect_location:
                        return _bounded(response, deadline) if body else _bare(response)
                    elif following := next_urls(url, response.headers["Location"], self.endpoint):
                        url, *rest = following
                        others = tuple(rest)
                    elif not body:
                        return _bare(response)
                    else:
                        raise OriginUnreachable(_leads_away(url, response))
        raise OriginUnreachable(f"{self.endpoint} redirects more than {_MAX_REDIRECTS} times")


def _headers(token: str) -> dict[str, str]:
    # Not the library's own: to make them it may ask its default hub for something else first.
    if not token:
        return {"User-Agent": _USER_AGENT}
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthorized("the token is none: it holds blanks, line ends or other characters that no token has")
    return {"User-Agent": _USER_AGENT, "Authorization": f"Bearer {token}"}


def json_object(endpoint: str, answer: httpx2.Response) -> dict[str, Any]:
    """Return the JSON object that an answer holds; raise OriginUnreachable for anything else."""
    problem = "the answer is not a JSON object"
    try:
        value = json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise OriginUnreachable(f"{endpoint} does not speak the hub's API: {problem}") from error
    if not isinstance(value, dict):
        raise OriginUnreachable(f"{endpoint} does not speak the hub's API: {problem}")
    return value


def _leads_away(url: httpx2.URL, response: httpx2.Response) -> str:
    target = url.join(response.headers["Location"])
    return (
        f"{url.scheme}://{url.netloc.decode()} does not speak the hub's API: HTTP {response.status_code} redirects to "
        f"another host, {target.scheme}://{target.netloc.decode()}, which is not followed"
    )


def _bounded(response: httpx2.Response, deadline: float) -> httpx2.Response:
    """Read a body that is not too long and does not take too long."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise OriginUnreachable(f"{response.url.host} answers with more than {MAX_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("the answer takes too long", request=response.request)
    kept = {key: value for key, value in response.headers.items() if key.lower() not in ("content-encoding", "content-length")}
    return httpx2.Response(response.status_code, headers=kept, content=bytes(body), request=response.request)


def _bare(response: httpx2.Response) -> httpx2.Response:
    return httpx2.Response(response.status_code, headers=dict(response.headers), request=response.request)
