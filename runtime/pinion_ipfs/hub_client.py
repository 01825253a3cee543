"""HTTP towards a hub: each address judged as it is connected to, no redirect to another host, answers of bounded length."""

import json
import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx2
from huggingface_hub import hf_raise_for_status, is_offline_mode

from .addresses import AddressPolicy, check_url, resolve_checked
from .connection_errors import explain
from .errors import NoAnswer, OriginUnreachable, Unauthorized
from .proxies import check_before_proxy, proxy_for
from .trust import tls_context

MAX_ANSWER = 32 * 1024 * 1024  # bytes; the listing of 100,000 files
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


def get(
    endpoint: str,
    path: str,
    *,
    token: str,
    timeout: float,
    policy: AddressPolicy | None,
    params: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """Return a good answer of the hub, read whole; raise what `hf_raise_for_status` and httpx2 raise, and ContentErrors.

    Of a stranger's endpoint whatever keeps it from answering is NoAnswer; the log has the cause.
    """
    if is_offline_mode():
        raise OriginUnreachable(f"{endpoint}: HF_HUB_OFFLINE is set, so it is not asked")
    try:
        answer = _follow(httpx2.URL(endpoint + path, params=dict(params or {}) or None), endpoint, token, timeout, policy)
    except httpx2.TransportError as error:
        if policy is None:
            raise
        raise _no_answer(endpoint, policy, error) from error
    hf_raise_for_status(answer)
    return answer


def _follow(url: httpx2.URL, endpoint: str, token: str, timeout: float, policy: AddressPolicy | None) -> httpx2.Response:
    transport, deadline, headers = transport_for(endpoint, policy), time.monotonic() + 2 * timeout, _headers(token)
    with httpx2.Client(transport=transport, timeout=timeout, verify=tls_context()) as client:
        for _ in range(_MAX_REDIRECTS + 1):
            with client.stream("GET", url, headers=headers) as response:
                if not response.is_redirect:
                    return _bounded(response, deadline)
                url = _next(url, response)
    raise OriginUnreachable(f"{endpoint} redirects more than {_MAX_REDIRECTS} times")


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


def _next(url: httpx2.URL, response: httpx2.Response) -> httpx2.URL:
    """Return where a redirect leads, its query kept; the token goes to the host that it was meant for, and to no other."""
    target = url.join(response.headers.get("Location", ""))
    if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
        there = f"{target.scheme}://{target.netloc.decode()}"
        raise OriginUnreachable(
            f"{url.scheme}://{url.netloc.decode()} does not speak the hub's API: HTTP {response.status_code} redirects to "
            f"another host, {there}, which is not followed"
        )
    return target


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
