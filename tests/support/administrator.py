"""The administrator's requests over kept connections: tests look all the time, and a kubectl costs 0.3 s of CPU."""

import atexit
import base64
import contextlib
import functools
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from devcluster.kubectl import KubectlError

Object = dict[str, Any]

# Of all that an API server has, the groups that tests look into: any name that kubectl takes for a kind is known of them.
_GROUPS = (
    "api/v1",
    "apis/apps/v1",
    "apis/policy/v1",
    "apis/discovery.k8s.io/v1",
    "apis/networking.k8s.io/v1",
    "apis/pinion.dev/v1alpha1",
)


_PATIENCE = 30.0  # seconds
_PAIR = {"client-certificate-data", "client-key-data"}


@dataclass(frozen=True)
class _Resource:
    group: str
    plural: str
    kind: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        where = f"namespaces/{namespace}/" if self.namespaced else ""
        return f"{self.group}/{where}{self.plural}" + (f"/{name}" if name else "")


def has_certificate(kubeconfig: Path) -> bool:
    """Tell whether a kubeconfig holds all that is needed here: one of a cloud starts a program that gives a token."""
    cluster, user = _parts(kubeconfig.read_text())
    return {"server", "certificate-authority-data"} <= cluster.keys() and user.keys() >= _PAIR


def administrator(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the URL of the API server, and the TLS of the administrator."""
    return _read(kubeconfig.read_text())


def get(kubeconfig: Path, kind: str, name: str, namespace: str, *, managed_fields: bool = False) -> Object:
    """Return one object, as `kubectl get` does; raise KubectlError."""
    found = _ask(kubeconfig, _resource(kubeconfig, kind).path(namespace, name))
    return found if managed_fields else _plain(found)


def find(kubeconfig: Path, kind: str, name: str, namespace: str, *, managed_fields: bool = False) -> Object | None:
    """Return one object, None when there is none; raise KubectlError for anything else."""
    try:
        return get(kubeconfig, kind, name, namespace, managed_fields=managed_fields)
    except KubectlError as error:
        if "(NotFound)" in error.stderr:
            return None
        raise


def get_all(kubeconfig: Path, kinds: str, namespace: str, selector: str = "") -> list[Object]:
    """Return the objects of some kinds that a label selects, as `kubectl get` does; raise KubectlError."""
    items: list[Object] = []
    for kind in kinds.split(","):
        resource = _resource(kubeconfig, kind)
        query = {"labelSelector": selector} if selector else {}
        found = _ask(kubeconfig, resource.path(namespace), **query)
        of_each = {"apiVersion": found["apiVersion"], "kind": resource.kind}  # a list does not say it of each
        items += [{**of_each, **_plain(item)} for item in found["items"]]
    return items


def patch_status(kubeconfig: Path, kind: str, name: str, namespace: str, status: Object) -> None:
    """Merge a change into an object's status; raise KubectlError."""
    path = _resource(kubeconfig, kind).path(namespace, name)
    _ask(kubeconfig, f"{path}/status", "PATCH", {"status": status})


def delete_namespace(kubeconfig: Path, namespace: str) -> None:
    """Delete a namespace and what would hold it: pods that no kubelet ends, and our objects, whose operator may be gone.

    The namespace controller lists all that there can be in such a namespace again and again, for as long as it is held.
    """
    _ask(kubeconfig, f"api/v1/namespaces/{namespace}", "DELETE")
    _ask(kubeconfig, f"api/v1/namespaces/{namespace}/pods", "DELETE", gracePeriodSeconds="0")
    for kind in ("modeldeployments", "ipfsbackends"):
        with contextlib.suppress(KubectlError):  # its definition is not there, or the object has just gone
            for obj in get_all(kubeconfig, kind, namespace):
                where = _resource(kubeconfig, kind).path(namespace, obj["metadata"]["name"])
                _ask(kubeconfig, where, "PATCH", {"metadata": {"finalizers": None}})


def _plain(obj: Object) -> Object:
    obj["metadata"].pop("managedFields", None)
    return obj


def _resource(kubeconfig: Path, name: str) -> _Resource:
    """Return the resource of a plural, singular or short name; raise KubectlError."""
    config = kubeconfig.read_text()
    known = _KNOWN.setdefault(config, {})
    if name.lower() not in known:
        for group in _GROUPS:
            try:
                listed = _ask(kubeconfig, group)["resources"]
            except KubectlError:  # our own group, before its definitions are there
                continue
            for one in listed:
                if "/" not in one["name"]:
                    resource = _Resource(group, one["name"], one["kind"], one["namespaced"])
                    for said in (one["name"], one["singularName"], one["kind"].lower(), *one.get("shortNames", ())):
                        known.setdefault(said, resource)
    if (found := known.get(name.lower())) is None:
        raise KubectlError(("get", name), f'error: the server doesn\'t have a resource type "{name}"')
    return found


def patiently(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Return an answer of the API server; ask again for a while where it has trouble of its own, which a slow etcd is.

    Only for what may be asked twice. Its last answer stands, or raises httpx.TransportError.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        over = time.monotonic() > deadline
        try:
            answer = send()
        except httpx.TransportError:  # it may just have closed a connection that nobody used
            if over:
                raise
        else:
            if over or (answer.status_code < 500 and answer.status_code != 429):
                return answer
        time.sleep(0.2)


def _ask(kubeconfig: Path, path: str, method: str = "GET", change: Object | None = None, **query: str) -> Object:
    client = _client(kubeconfig.read_text())
    headers = {"Content-Type": "application/merge-patch+json"} if change else None
    try:
        answer = patiently(lambda: client.request(method, path, params=query, json=change, headers=headers))
    except httpx.TransportError as error:
        raise KubectlError((method, path), f"{type(error).__name__}: {error}") from None
    try:
        found: Object = answer.json()
    except ValueError:  # "404 page not found" of a group that is not there
        raise KubectlError((method, path), f"Error from server: {answer.status_code} {answer.text[:200]}") from None
    if not answer.is_success:
        raise KubectlError((method, path), f"Error from server ({found.get('reason')}): {found.get('message')}")
    return found


_KNOWN: dict[str, dict[str, _Resource]] = {}  # by the text of a kubeconfig: a path may come to name another cluster


@functools.cache
def _client(config: str) -> httpx.Client:
    server, tls = _read(config)
    client = httpx.Client(base_url=server, verify=tls, timeout=30)
    atexit.register(client.close)
    return client


def _parts(config: str) -> tuple[Object, Object]:
    known = yaml.safe_load(config)  # ours are JSON, which is YAML
    return known["clusters"][0]["cluster"], known["users"][0]["user"]


def _read(config: str) -> tuple[str, ssl.SSLContext]:
    cluster, user = _parts(config)
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b"".join(base64.b64decode(user[name]) for name in sorted(_PAIR)))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return str(cluster["server"]), tls
