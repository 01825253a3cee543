"""A mutating admission webhook: a real HTTPS server on loopback that the API server asks about writes to one namespace."""

import base64
import copy
import json
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.pki import Authority

Object = dict[str, Any]
Change = Callable[[Object], None]  # changes the object in place; objects of every kind come

# What the operator makes; status is a resource of its own, and is not asked about.
RULES = [
    {
        "apiGroups": ["", "apps", "networking.k8s.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [
            "configmaps", "controllerrevisions", "deployments", "networkpolicies", "secrets", "serviceaccounts", "services",
            "statefulsets",
        ],
    }
]  # fmt: skip


class MutatingWebhook:
    """Applies `change` to what is written while it is registered; None changes nothing. `deny`: refuse, with these words."""

    def __init__(self, control_plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.change: Change | None = None
        self.deny: Callable[[Object], str] = lambda obj: ""
        self.name = f"{namespace}-{secrets.token_hex(3)}.pinion.test"
        self._control_plane, self._namespace = control_plane, namespace
        authority = Authority(folder)
        authority.create()
        certificate = authority.issue("webhook", "webhook", hosts=("127.0.0.1",))
        self._bundle = base64.b64encode(authority.crt.read_bytes()).decode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.crt, certificate.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="webhook", daemon=True)

    def __enter__(self) -> "MutatingWebhook":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.remove()
        finally:
            self._server.shutdown()
            self._server.server_close()

    def register(self, change: Change | None = None, *resources: str) -> None:
        """Have the API server ask about our children, and about these resources of ours (`ipfsbackends/status`)."""
        self.change = change or self.change
        more = (
            [{**RULES[0], "apiGroups": ["pinion.dev"], "apiVersions": ["*"], "resources": list(resources)}] if resources else []
        )
        webhook = {
            "name": self.name,
            "clientConfig": {"url": f"https://127.0.0.1:{self._server.server_port}/", "caBundle": self._bundle},
            "rules": [*RULES, *more],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": 30,
        }
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
        self._control_plane.kubectl(
            "apply", "-f", "-", input=json.dumps({**kind, "metadata": {"name": self.name}, "webhooks": [webhook]})
        )
        self._wait_asked(True)

    def remove(self) -> None:
        """Have the API server ask no more."""
        self._control_plane.kubectl("delete", "mutatingwebhookconfiguration", self.name, "--ignore-not-found")
        self._wait_asked(False)

    def review(self, obj: Object) -> dict[str, Any]:
        """Return the answer to one object: refused, or what is changed."""
        if words := self.deny(obj):
            return {"allowed": False, "status": {"code": 403, "message": words}}
        changed = copy.deepcopy(obj)
        if obj["metadata"].get("name", "").startswith("probe-"):
            changed["metadata"].setdefault("labels", {})["asked"] = "yes"
        elif self.change:
            self.change(changed)
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in changed.items() if obj.get(name) != value]
        return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}

    def _wait_asked(self, wanted: bool) -> None:
        from tests.support.waiting import wait_until

        wait_until(lambda: self._is_asked() == wanted, f"the API server {'asks' if wanted else 'does not ask'} the webhook")

    def _is_asked(self) -> bool:
        probe = ("create", "configmap", f"probe-{secrets.token_hex(3)}", "--dry-run=server", "-o", "json")
        made = json.loads(self._control_plane.kubectl("-n", self._namespace, *probe))
        return "asked" in made["metadata"].get("labels", {})


@pytest.fixture
def webhook(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[MutatingWebhook]:
    """Serve a webhook for the test's namespace; it is asked once it is registered."""
    with MutatingWebhook(control_plane, namespace, tmp_path / "webhook") as running:
        yield running


def pod_template(obj: Object) -> Object | None:
    """Return the pod template of a workload; None of any other kind."""
    return obj["spec"]["template"] if obj["kind"] in ("Deployment", "StatefulSet") else None


def containers(obj: Object) -> list[Object]:
    """Return the containers of a workload, those that run first too; [] of any other kind."""
    template = pod_template(obj)
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]] if template else []


def _handler(webhook: MutatingWebhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            answer = {"uid": request["uid"], **webhook.review(request["object"])}
            body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
