"""The administrator's requests over kept connections: tests look all the time, and a kubectl costs 0.3 s of CPU."""

import atexit
import base64
import functools
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any

import httpx

from devcluster.kubectl import KubectlError

Object = dict[str, Any]

_KINDS = {"pods": "Pod", "configmaps": "ConfigMap"}  # of the core API, and what their objects are called


def administrator(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the URL of the API server, and the TLS of the administrator."""
    return _read(kubeconfig.read_text())


def get_all(kubeconfig: Path, kinds: str, namespace: str, selector: str) -> list[Object]:
    """Return the objects of some kinds that a label selects, as `kubectl get` does; raise KubectlError."""
    items: list[Object] = []
    for plural in kinds.split(","):
        found = _ask(kubeconfig, f"api/v1/namespaces/{namespace}/{plural}", labelSelector=selector)["items"]
        items += [{"kind": _KINDS[plural], **item} for item in found]  # a list does not say it of each
    return items


def _ask(kubeconfig: Path, path: str, **query: str) -> Object:
    client = _client(kubeconfig.read_text())
    for last in (False, True):  # the server may just have closed a connection that nobody used
        try:
            answer = client.get(path, params=query)
            break
        except httpx.TransportError as error:
            if last:
                raise KubectlError(("get", path), f"{type(error).__name__}: {error}") from None
    found: Object = answer.json()
    if not answer.is_success:
        raise KubectlError(("get", path), f"Error from server ({found['reason']}): {found['message']}")
    return found


@functools.cache
def _client(config: str) -> httpx.Client:
    server, tls = _read(config)
    client = httpx.Client(base_url=server, verify=tls, timeout=30)
    atexit.register(client.close)
    return client


def _read(config: str) -> tuple[str, ssl.SSLContext]:
    known = json.loads(config)
    cluster, user = known["clusters"][0]["cluster"], known["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b"".join(base64.b64decode(user[name]) for name in ("client-certificate-data", "client-key-data")))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return str(cluster["server"]), tls
