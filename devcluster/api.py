"""The processes of a control plane: etcd, the API server and the controller-manager, for both modes of the cluster."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path

from .daemons import Daemons
from .gotools import CONTROL, ETCD
from .kubectl import write_kubeconfig
from .pki import Authority

CLUSTER_DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Addresses:
    """Where the parts of a control plane listen; etcd and the controller-manager are on loopback always."""

    api_host: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    controllers_port: int
    services: str = "10.96.0.0/16"

    @property
    def server(self) -> str:
        """Return the URL of the API server."""
        return f"https://{self.api_host}:{self.api_port}"

    @property
    def kubernetes_service(self) -> str:
        """Return the address of the `kubernetes` Service: the first one of the range."""
        return self.services.rpartition("/")[0].rpartition(".")[0] + ".1"


class ControlProcesses:
    """etcd, kube-apiserver and kube-controller-manager in one state folder, with RBAC and the default admission."""

    def __init__(self, state: Path, addresses: Addresses, daemons: Daemons) -> None:
        self.state, self.addresses, self.daemons = state, addresses, daemons
        self.authority = Authority(state / "pki")
        self.kubeconfig = state / "admin.kubeconfig"
        self.audit_log = state / "audit.log"

    def start(self, *, node: bool) -> None:
        """Start all three and wait until the API answers; `node` is the wiring to a kubelet."""
        self._make_certificates()
        self._start_etcd()
        self.start_api_server(node=node)
        self._start_controllers(endpoints=node)

    def start_api_server(self, *, node: bool) -> None:
        """Start the API server alone and wait until it answers."""
        self._run_api_server(node=node)
        self.daemons.wait_until(self.is_ready, "kube-apiserver", timeout=90)

    def user_kubeconfig(self, name: str, common_name: str, organization: str = "") -> Path:
        """Write the kubeconfig of one user or component, with a certificate of its own."""
        certificate = self.authority.issue(name, common_name, organization=organization)
        return write_kubeconfig(self.state / f"{name}.kubeconfig", self.addresses.server, self.authority, certificate)

    def is_ready(self) -> bool:
        """Ask the API server whether it is ready."""
        admin = self.authority.issue("admin", "admin", organization="system:masters")
        context = ssl.create_default_context(cafile=str(self.authority.crt))
        context.load_cert_chain(admin.crt, admin.key)
        connection = http.client.HTTPSConnection(self.addresses.api_host, self.addresses.api_port, timeout=5, context=context)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _make_certificates(self) -> None:
        at, names = self.addresses, ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
        self.authority.create()
        full = f"kubernetes.default.svc.{CLUSTER_DOMAIN}"
        hosts = (*names, full, "localhost", "127.0.0.1", at.kubernetes_service)
        self.authority.issue("apiserver", "kube-apiserver", hosts=tuple(dict.fromkeys((*hosts, at.api_host))))
        self.authority.issue("etcd", "etcd", hosts=("127.0.0.1",))
        self.authority.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", organization="system:masters")
        self.user_kubeconfig("admin", "admin", "system:masters")

    def _start_etcd(self) -> None:
        at, pki, me = self.addresses, self.authority, self.authority.issue("etcd", "etcd")
        client, peer = f"https://127.0.0.1:{at.etcd_port}", f"https://127.0.0.1:{at.etcd_peer_port}"
        self.daemons.start(
            "etcd",
            [
                # The Go package of etcd is called "server", and so is its binary.
                ETCD.program("server"),
                *("--name", "devcluster", "--data-dir", self.state / "etcd"),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"devcluster={peer}"),
                # Whoever can write to etcd rules the cluster, and loopback is open to every user of the machine.
                *("--client-cert-auth", "--trusted-ca-file", pki.crt, "--cert-file", me.crt, "--key-file", me.key),
                *("--peer-client-cert-auth", "--peer-trusted-ca-file", pki.crt),
                *("--peer-cert-file", me.crt, "--peer-key-file", me.key),
                # A cluster that is thrown away need not survive a power cut, and syncing costs seconds on slow disks.
                "--unsafe-no-fsync",
                *("--quota-backend-bytes", str(2 << 30), "--auto-compaction-retention", "5m", "--log-level", "warn"),
            ],
        )

    def _run_api_server(self, *, node: bool) -> None:
        at, pki = self.addresses, self.authority
        server, etcd, kubelet = (pki.issue(name, name) for name in ("apiserver", "etcd", "apiserver-kubelet"))
        accounts = pki.service_accounts
        wiring: list[str | Path] = ["--advertise-address", at.api_host, "--endpoint-reconciler-type", "lease"]
        if not node:
            # A loopback address is refused as an endpoint. Nobody reaches this API through its Service: publish none.
            wiring = ["--advertise-address", "192.0.2.1", "--endpoint-reconciler-type", "none"]
        self.daemons.start(
            "kube-apiserver",
            [
                CONTROL.program("kube-apiserver"),
                *("--etcd-servers", f"https://127.0.0.1:{at.etcd_port}", "--etcd-cafile", pki.crt),
                *("--etcd-certfile", etcd.crt, "--etcd-keyfile", etcd.key),
                *("--bind-address", at.api_host, "--secure-port", str(at.api_port), *wiring),
                *("--service-cluster-ip-range", at.services, "--allow-privileged=true"),
                *("--authorization-mode", "Node,RBAC"),
                *("--enable-admission-plugins", "NodeRestriction,OwnerReferencesPermissionEnforcement"),
                *("--client-ca-file", pki.crt, "--tls-cert-file", server.crt, "--tls-private-key-file", server.key),
                *("--kubelet-certificate-authority", pki.crt, "--kubelet-preferred-address-types", "InternalIP"),
                *("--kubelet-client-certificate", kubelet.crt, "--kubelet-client-key", kubelet.key),
                *("--service-account-issuer", f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}"),
                *("--service-account-key-file", accounts.crt, "--service-account-signing-key-file", accounts.key),
                *("--audit-policy-file", self._audit_policy(), "--audit-log-path", self.audit_log),
                *("--audit-log-maxsize", "200", "--audit-log-maxbackup", "1", "--profiling=false"),
            ],
        )

    def _audit_policy(self) -> Path:
        """Log who wrote what and when, nothing of its content, and no reads."""
        path = self.state / "audit-policy.json"
        rules = [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
        path.write_text(json.dumps(policy))
        return path

    def _start_controllers(self, *, endpoints: bool) -> None:
        pki = self.authority
        config = self.user_kubeconfig("controller-manager", "system:kube-controller-manager")
        # Without a node, pods are processes on loopback addresses, which endpoints must not carry.
        off = () if endpoints else ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller")
        self.daemons.start(
            "kube-controller-manager",
            [
                CONTROL.program("kube-controller-manager"),
                *("--kubeconfig", config, "--authentication-kubeconfig", config, "--authorization-kubeconfig", config),
                *("--bind-address", "127.0.0.1", "--secure-port", str(self.addresses.controllers_port)),
                *("--root-ca-file", pki.crt, "--client-ca-file", pki.crt),
                *("--service-account-private-key-file", pki.service_accounts.key, "--use-service-account-credentials=true"),
                *("--cluster-signing-cert-file", pki.crt, "--cluster-signing-key-file", pki.key),
                *("--controllers", ",".join(("*", *(f"-{name}" for name in off)))),
                *("--leader-elect=false", "--profiling=false", "--kube-api-qps", "100", "--kube-api-burst", "200"),
            ],
        )
