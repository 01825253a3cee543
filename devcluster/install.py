"""What the project puts into a cluster: the hub mirror and the chart."""

import json
import os
import subprocess

from . import manifests
from .errors import DevClusterError
from .gotools import HELM, ensure
from .images.project import ProjectImages
from .paths import REPOSITORY
from .provider import Cluster

HUB_NAMESPACE = "pinion-hub"
HUB_ENDPOINT = f"http://hub.{HUB_NAMESPACE}.svc"
SYSTEM_NAMESPACE = "pinion-system"
RELEASE = "pinion"
CHART = REPOSITORY / "charts" / "pinion"
# Whatever network a provider gives its Services: objects here may name gateways and mirrors of the cluster by URL.
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
OWN_LABEL = "pinion.dev/devcluster"  # on every namespace that was made here: no other is touched


class HelmError(DevClusterError):
    """Helm failed; the message holds its own words."""


class NamespaceError(DevClusterError):
    """A namespace of the name that is needed is somebody else's."""


def install_hub(cluster: Cluster, image: str, *, rate: int = 0) -> None:
    """Start the hub mirror and wait for it; `rate` limits all downloads together, in bytes per second (0: no limit)."""
    ensure_namespace(cluster, HUB_NAMESPACE)
    cluster.kubectl("apply", "--filename=-", input=manifests.render("hub.yaml", image=image, rate=str(rate)))
    wait_for_deployment(cluster, HUB_NAMESPACE, "hub")


def install_chart(cluster: Cluster, images: ProjectImages, *, settings: dict[str, str] | None = None) -> None:
    """Install or upgrade the chart with our images and the hub mirror, and wait for the operator; `settings` go on top."""
    ensure_namespace(cluster, SYSTEM_NAMESPACE)
    values = {
        **_image_values("operator", images.operator),
        **_image_values("runtime", images.runtime),
        **_image_values("kubo", images.kubo),
        "hub.endpoint": HUB_ENDPOINT,
        "operator.allowedNetworks": f"{{{','.join(PRIVATE_NETWORKS)}}}",
        **(settings or {}),
    }
    arguments = [word for key, value in values.items() for word in ("--set-string", f"{key}={value}")]
    where = (RELEASE, str(CHART), f"--namespace={SYSTEM_NAMESPACE}")
    helm(cluster, "upgrade", "--install", *where, "--wait", "--timeout=180s", *arguments)


def uninstall_chart(cluster: Cluster) -> None:
    """Uninstall the release; the custom resources stay, as the chart says."""
    helm(cluster, "uninstall", RELEASE, f"--namespace={SYSTEM_NAMESPACE}", "--ignore-not-found", "--wait")


def ensure_namespace(cluster: Cluster, name: str) -> None:
    """Make a namespace that admits only pods of the `restricted` standard; raise NamespaceError when it is not ours."""
    if not cluster.exclusive and _is_foreign(cluster, name):
        raise NamespaceError(f"the namespace {name} exists, and was not made here: it lacks the label {OWN_LABEL}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted", OWN_LABEL: "true"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("apply", "--filename=-", input=json.dumps(manifest))


def _is_foreign(cluster: Cluster, namespace: str) -> bool:
    found = cluster.kubectl("get", "namespace", namespace, "--ignore-not-found", "--output=json")
    return bool(found) and OWN_LABEL not in json.loads(found)["metadata"].get("labels", {})


def wait_for_deployment(cluster: Cluster, namespace: str, name: str, seconds: int = 120) -> None:
    """Wait until the newest pods of a Deployment are the ones that serve."""
    where = (f"deployment/{name}", f"--namespace={namespace}")
    cluster.kubectl("rollout", "status", *where, f"--timeout={seconds}s", timeout=seconds + 10)


def helm(cluster: Cluster, *arguments: str, timeout: float = 300) -> str:
    """Run Helm against the cluster and return its standard output; raise HelmError when it fails."""
    ensure([HELM])
    # Helm keeps caches and settings in the user's home otherwise.
    homes = {
        f"HELM_{kind}_HOME": str(cluster.kubeconfig.parent / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")
    }
    command = [str(HELM.program("helm")), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    try:
        done = subprocess.run(
            command, env={**os.environ, **homes}, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise HelmError(f"`helm {arguments[0]}` did not end within {timeout:g} s") from None
    if done.returncode:
        raise HelmError(f"`helm {arguments[0]}` failed: {done.stderr.strip()}")
    return done.stdout


def _image_values(name: str, reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {f"image.{name}.repository": repository, f"image.{name}.tag": tag}
