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
import yaml

from devcluster.kubectl import Kubectl, KubectlError

Object = dict[str, Any]

_CORE, _APPS, _OURS = "api/v1", "apis/apps/v1", "apis/pinion.dev/v1alpha1"
_KINDS = (  # where it is served, its plural, what it is called, and the names that kubectl takes for it
    (_CORE, "pods", "Pod", "pod"),
    (_CORE, "services", "Service", "service"),
    (_CORE, "configmaps", "ConfigMap", "configmap"),
    (_CORE, "secrets", "Secret", "secret"),
    (_CORE, "serviceaccounts", "ServiceAccount", "serviceaccount"),
    (_CORE, "persistentvolumeclaims", "PersistentVolumeClaim", "persistentvolumeclaim pvc"),
    (_CORE, "resourcequotas", "ResourceQuota", "resourcequota"),
    (_APPS, "deployments", "Deployment", "deployment deploy"),
    (_APPS, "statefulsets", "StatefulSet", "statefulset sts"),
    (_APPS, "controllerrevisions", "ControllerRevision", "controllerrevision"),
    (_OURS, "modeldeployments", "ModelDeployment", "modeldeployment mdep"),
    (_OURS, "ipfsbackends", "IpfsBackend", "ipfsbackend ipfsb"),
)
_BY_NAME = {name: (at, plural, kind) for at, plural, kind, names in _KINDS for name in (plural, *names.split())}


def administrator(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the URL of the API server, and the TLS of the administrator."""
    return _read(kubeconfig.read_text())


def get(kubeconfig: Path, kind: str, name: str, namespace: str, *, managed_fields: bool = False) -> Object:
    """Return an object, as `kubectl get` does; raise KubectlError, with the API server's words, when there is none."""
    if kind not in _BY_NAME:
        return dict(json.loads(Kubectl(kubeconfig)("get", kind, name, f"--namespace={namespace}", "--output=json")))
    at, plural, _ = _BY_NAME[kind]
    found = _ask(kubeconfig, f"{at}/namespaces/{namespace}/{plural}/{name}")
    return found if managed_fields else _without_managers(found)


def find(kubeconfig: Path, kind: str, name: str, namespace: str, *, managed_fields: bool = False) -> Object | None:
    """Return an object, None when there is none; raise KubectlError for everything else."""
    try:
        return get(kubeconfig, kind, name, namespace, managed_fields=managed_fields)
    except KubectlError as error:
        if "(NotFound)" in error.stderr:
            return None
        raise


def get_all(kubeconfig: Path, kinds: str, namespace: str, selector: str = "") -> list[Object]:
    """Return the objects of some kinds, as `kubectl get` does; raise KubectlError."""
    names = kinds.split(",")
    if not _BY_NAME.keys() >= set(names):
        arguments = ("get", kinds, f"--namespace={namespace}", f"--selector={selector}", "--output=json")
        return list(json.loads(Kubectl(kubeconfig)(*arguments))["items"])
    items: list[Object] = []
    for at, plural, kind in (_BY_NAME[name] for name in names):
        found = _ask(kubeconfig, f"{at}/namespaces/{namespace}/{plural}", labelSelector=selector)["items"]
        version = at.partition("/")[2]
        items += [{"apiVersion": version, "kind": kind, **_without_managers(item)} for item in found]
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


def _without_managers(found: Object) -> Object:
    found["metadata"].pop("managedFields", None)
    return found


@functools.cache
def _client(config: str) -> httpx.Client:
    server, tls = _read(config)
    client = httpx.Client(base_url=server, verify=tls, timeout=30)
    atexit.register(client.close)
    return client


def _read(config: str) -> tuple[str, ssl.SSLContext]:
    known = yaml.safe_load(config)  # ours are JSON, kind's is not
    cluster, user = known["clusters"][0]["cluster"], known["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b"".join(base64.b64decode(user[name]) for name in ("client-certificate-data", "client-key-data")))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return str(cluster["server"]), tls
