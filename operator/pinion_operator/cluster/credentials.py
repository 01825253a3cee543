"""Who we are to the Kubernetes API: a kubeconfig, or the service account of a pod, whose token rotates."""

import asyncio
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from .errors import NoCredentialsError
from .patience import Answer, wait_after


@dataclass(frozen=True)
class Credentials:
    """Where the API server is and how to prove who asks; the token is read again for each request."""

    settings: client.Configuration

    @classmethod
    async def load(cls, kubeconfig: str, service_account: Path, **options: Any) -> "Credentials":
        """Take the kubeconfig if one is given, else the service account in this folder, else ~/.kube/config.

        `options` are of the client's configuration. NoCredentialsError when there is none of the three.
        """
        settings = client.Configuration(**options)
        if not kubeconfig and _load_service_account(settings, service_account):
            return cls(settings)
        try:
            await config.load_kube_config(config_file=kubeconfig or None, client_configuration=settings)
        except config.ConfigException as error:
            raise NoCredentialsError(f"no credentials for a Kubernetes API: {error}") from error
        return cls(settings)

    @property
    def server(self) -> str:
        """Return the URL of the API server."""
        return str(self.settings.host)

    def session(self, hear: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
        """Return a session for long requests, with as many connections as it wants; whoever asks for it closes it.

        `hear` is called around each request.
        """
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls())
        return aiohttp.ClientSession(connector=connector, middlewares=(wait_when_asked, hear, self._prove))

    async def _prove(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if token := await self.settings.get_api_key_with_prefix("BearerToken"):
            request.headers["Authorization"] = token
        return await handler(request)

    def _tls(self) -> ssl.SSLContext:
        settings = self.settings
        context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        if not settings.verify_ssl:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


async def wait_when_asked(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Sit a server's wish for patience out, and let the caller take the rest for a connection that broke: it will try again.

    kopf would sleep for an hour where a proxy says so, and end at a time that is a date.
    """
    response = await handler(request)
    if response.status in (429, 503):
        answer = Answer(response.status, response.headers, await response.read())
        if (wait := wait_after(answer, reads=True, attempt=1)) is not None:
            await asyncio.sleep(wait)
            raise aiohttp.ClientConnectionError(f"HTTP {response.status}: the API server asks to come back later")
    return response


def _load_service_account(settings: client.Configuration, folder: Path) -> bool:
    token = folder / "token"
    try:
        InClusterConfigLoader(token, folder / "ca.crt", try_refresh_token=False, environ=os.environ).load_and_set(settings)
    except config.ConfigException:
        return False  # not in a pod

    def read_again(settings: client.Configuration) -> None:
        """Take what the kubelet has written last. The client's own way would go on with a dead token for a minute."""
        try:
            text = token.read_text().strip()
        except OSError:
            return  # between two versions of the volume: the one before may still do
        if text:
            settings.api_key["BearerToken"] = f"Bearer {text}"

    settings.refresh_api_key_hook = read_again
    read_again(settings)
    return True
