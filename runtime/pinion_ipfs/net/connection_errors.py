"""Why a connection could not be made, in words that say whose fault it is: the host's certificate, the proxy, or neither."""

import ssl
from urllib.parse import urlsplit

import aiohttp
import httpx2

from .proxies import proxy_for, without_credentials


def explain(error: BaseException, url: str) -> str:
    """Return what went wrong on the way to a URL."""
    plain = f"{type(error).__name__}: {error}"
    if certificate := _certificate_error(error):
        return f"the certificate of {urlsplit(url).hostname} is not trusted: {_reason(certificate)}"
    proxy = proxy_for(url)
    if not proxy:
        return plain
    named = f"the proxy {without_credentials(proxy)}"
    match error:
        case httpx2.ProxyError():
            return f"{named} answers {str(error).strip()}"
        case aiohttp.ClientHttpProxyError():
            return f"{named} answers {error.status} {error.message}".rstrip()
        case aiohttp.ClientProxyConnectionError():
            return f"{named} cannot be reached: {error.os_error.strerror or error.os_error}"
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return f"{named} cannot be reached, or does not reach it: {error}"
    return f"through {named}: {plain}"


def explain_status(status: int, url: str) -> str:
    """Return `HTTP 502`, and whose answer that may be: of plain http a proxy passes answers on, or makes them itself."""
    proxy = proxy_for(url) if urlsplit(url).scheme == "http" else ""
    if not proxy:
        return f"HTTP {status}"
    named = f"the proxy {without_credentials(proxy)}"
    if status == 407:  # nobody else asks for that
        return f"{named} answers 407: it asks for credentials"
    return f"HTTP {status} (through {named})"


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Return the refusal of a certificate that is this error or lies behind it."""
    for _ in range(10):
        inner = error.__cause__ or error.__context__
        if isinstance(error, aiohttp.ClientConnectorCertificateError):  # calls itself the other, and has none of its fields
            inner = error.certificate_error
        elif isinstance(error, ssl.SSLCertVerificationError):
            return error
        if inner is None:
            return None
        error = inner
    return None


def _reason(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message or error.reason or str(error)
