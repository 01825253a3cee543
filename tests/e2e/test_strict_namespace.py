"""In somebody else's cluster: a policy that changes what is made, quotas, a disk limit, `restricted` pods, a private CA."""

from collections.abc import Iterator

import httpx
import pytest

from devcluster import install
from devcluster.pki import Authority
from tests.support.cluster import Cluster, condition, message
from tests.support.journeys import MINILM, kubo_backend
from tests.support.webhook import MutatingWebhook, Object, pod_template

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

NAMESPACE, HUB = "strict", "private-hub"
ENDPOINT = f"https://{HUB}.{install.HUB_NAMESPACE}.svc"

QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "all"},
    "spec": {
        "hard": {
            "requests.cpu": "3", "requests.memory": "8Gi", "limits.ephemeral-storage": "8Gi", "pods": "6",
            "persistentvolumeclaims": "2",
        }
    },
}  # fmt: skip
# What every container gets that says nothing of its own.
LIMITS = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "disk"},
    "spec": {"limits": [{"type": "Container", "default": {"ephemeral-storage": "1Gi"}}]},
}


def change(obj: Object) -> None:
    """Do what policies do: another pull policy, another request, marks and a toleration on every pod."""
    obj["metadata"].setdefault("labels", {})["policy.test/cost-centre"] = "42"
    if (template := pod_template(obj)) is None:
        return
    template["metadata"].setdefault("annotations", {})["policy.test/seen"] = "yes"
    template["spec"].setdefault("tolerations", []).append({"key": "policy.test/any", "operator": "Exists"})
    for container in template["spec"]["containers"]:
        container["imagePullPolicy"] = "Never"
        container.setdefault("resources", {}).setdefault("requests", {})["cpu"] = "150m"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority that nobody's system knows."""
    made = Authority(tmp_path_factory.mktemp("pki"))
    made.create()
    return made


@pytest.fixture(scope="module")
def strict(cluster: Cluster, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster with a hub behind the private authority, which Pinion is told of, and the namespace with its rules."""
    serve_hub(cluster, authority)
    bundle = ("create", "configmap", "corp-ca", "-n", install.SYSTEM_NAMESPACE, f"--from-file=ca.crt={authority.crt}")
    cluster.kubectl(*bundle)
    try:
        set_authority(cluster, "corp-ca")
        with (
            cluster.namespace(NAMESPACE),
            MutatingWebhook(cluster.provider, NAMESPACE, tmp_path_factory.mktemp("webhook")) as webhook,
        ):
            cluster.apply(QUOTA, NAMESPACE)
            cluster.apply(LIMITS, NAMESPACE)
            webhook.register(change)
            yield cluster
    finally:
        set_authority(cluster, "")
        cluster.kubectl("delete", "configmap", "corp-ca", "-n", install.SYSTEM_NAMESPACE)
        cluster.kubectl("delete", "deploy,svc,secret", HUB, "-n", install.HUB_NAMESPACE)


def set_authority(cluster: Cluster, config_map: str) -> None:
    where = (install.RELEASE, str(install.CHART), f"--namespace={install.SYSTEM_NAMESPACE}")
    install.helm(
        cluster.provider, "upgrade", *where, "--reuse-values", "--wait", f"--set-string=extraCA.configMap={config_map}"
    )


def serve_hub(cluster: Cluster, authority: Authority) -> None:
    """Serve the mirror's models by HTTPS too, with a certificate of the authority."""
    certificate = authority.issue("hub", HUB, hosts=(f"{HUB}.{install.HUB_NAMESPACE}.svc",))
    tls = ("create", "secret", "tls", HUB, "-n", install.HUB_NAMESPACE, f"--cert={certificate.crt}", f"--key={certificate.key}")
    cluster.kubectl(*tls)
    deployment = cluster.get("deploy", "hub", install.HUB_NAMESPACE)
    template = deployment["spec"]["template"]
    template["metadata"]["labels"] = labels = {"app.kubernetes.io/name": HUB}
    container = template["spec"]["containers"][0]
    container["args"] += ["--certificate", "/tls/tls.crt", "--key", "/tls/tls.key"]
    container["readinessProbe"]["httpGet"]["scheme"] = "HTTPS"
    container["volumeMounts"].append({"name": "tls", "mountPath": "/tls", "readOnly": True})
    template["spec"]["volumes"].append({"name": "tls", "secret": {"secretName": HUB}})
    meta = {"name": HUB}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}, install.HUB_NAMESPACE)
    ports = [{"name": "https", "port": 443, "targetPort": "http"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": ports}}
    cluster.apply(service, install.HUB_NAMESPACE)
    install.wait_for_deployment(cluster.provider, install.HUB_NAMESPACE, HUB)


def model(name: str, **spec: object) -> Object:
    source = {"huggingFace": {"repo": MINILM, "endpoint": ENDPOINT}}
    body = {"model": {"source": source}, **spec}
    return {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": name}, "spec": body}


def wait_for(cluster: Cluster, kind: str, name: str, type_: str, wanted: tuple[str, str], timeout: float = 300) -> Object:
    return cluster.get_until(
        f"{type_} {wanted}", kind, name, NAMESPACE, lambda obj: condition(obj, type_) == wanted, timeout=timeout
    )


def test_a_model_is_served_under_all_of_these_rules_at_once(strict: Cluster) -> None:
    strict.apply(kubo_backend("ipfs"), NAMESPACE)
    strict.apply(model("m", replicas=2), NAMESPACE)
    wait_for(strict, "mdep", "m", "Ready", ("True", "Serving"))
    assert wait_for(strict, "ipfsb", "ipfs", "Ready", ("True", "Healthy"))
    assert wait_for(strict, "mdep", "m", "ArtifactPinned", ("True", "Pinned"), timeout=180)
    for pod in strict.get_all("pods", NAMESPACE, "pinion.dev/deployment=m"):
        (container,) = pod["spec"]["containers"]
        assert container["imagePullPolicy"] == "Never", "the policy holds"
        assert container["resources"]["limits"]["ephemeral-storage"] == "1Gi", "so does the limit"
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, "and the quota takes it"
    with strict.port_forward(NAMESPACE, "svc/m", 80) as url:
        answer = httpx.post(f"{url}/v1/embeddings", json={"model": "m", "input": ["a"]}, timeout=60)
    assert len(answer.json()["data"][0]["embedding"]) == 384


def test_at_rest_under_a_policy_nothing_is_written(strict: Cluster) -> None:
    def generation() -> int:
        return int(strict.get("deploy", "m", NAMESPACE)["metadata"]["generation"])

    def idle() -> tuple[object, object]:
        before = strict.versions_at_rest("mdep", NAMESPACE), generation()
        strict.observe_for(seconds=20)
        return before, (strict.versions("mdep", NAMESPACE), generation())

    before, after = strict.undisturbed(NAMESPACE, idle)
    assert after == before


def test_what_the_quota_refuses_is_named_with_the_quota(strict: Cluster) -> None:
    strict.patch("mdep", "m", NAMESPACE, {"spec": {"replicas": 6}})
    refused = wait_for(strict, "mdep", "m", "WorkloadReady", ("False", "QuotaExceeded"), timeout=120)
    assert "all" in message(refused, "WorkloadReady")
    strict.patch("mdep", "m", NAMESPACE, {"spec": {"replicas": 1}})
    wait_for(strict, "mdep", "m", "WorkloadReady", ("True", "Running"))


def test_a_model_that_the_disks_limit_cannot_hold_is_refused_before_a_byte_is_fetched(strict: Cluster) -> None:
    resources = {"limits": {"ephemeral-storage": "60Mi"}}
    strict.apply(model("large", runtime={"resources": resources}), NAMESPACE)
    stalled = wait_for(strict, "mdep", "large", "Stalled", ("True", "InsufficientStorage"), timeout=60)
    assert str(60 << 20) in message(stalled, "Stalled")
    assert not strict.get_all("pods", NAMESPACE, "pinion.dev/deployment=large")
    strict.kubectl("delete", "mdep", "large", "-n", NAMESPACE)
