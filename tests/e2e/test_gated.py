"""A gated repository: the operator reads its token once a Role of the namespace lets it."""

import pytest

from devcluster.hubmirror.models import GATED, GATED_TOKEN
from tests.support.cluster import Cluster, condition, message, serves, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAMESPACE = "gated"
OPERATOR = "pinion-system:pinion-operator"


def test_it_is_served_once_the_operator_may_read_its_token(cluster: Cluster) -> None:
    """The commands are those of docs/serve-your-own-model.md."""
    source = {"repo": GATED, "tokenSecretRef": {"name": "hub", "key": "token"}}
    model = {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "gated"},
        "spec": {"model": {"source": {"huggingFace": source}}},
    }
    with cluster.namespace(NAMESPACE):
        cluster.kubectl("create", "secret", "generic", "hub", "-n", NAMESPACE, f"--from-literal=token={GATED_TOKEN}")
        cluster.apply(model, NAMESPACE)

        def found() -> dict:
            return cluster.get("mdep", "gated", NAMESPACE)

        wait_until("answer", lambda: condition(found(), "SourceResolved")[0] == "False", timeout=60, describe=found)
        assert "Secret 'hub' of tokenSecretRef" in message(found(), "SourceResolved"), found()["status"]
        assert not cluster.get_all("pods", NAMESPACE)
        cluster.kubectl(
            "create", "role", "pinion-hub-token", "-n", NAMESPACE, "--verb=get", "--resource=secrets", "--resource-name=hub"
        )
        cluster.kubectl(
            "create", "rolebinding", "pinion-hub-token", "-n", NAMESPACE,
            "--role=pinion-hub-token", f"--serviceaccount={OPERATOR}",
        )  # fmt: skip
        cluster.kubectl("annotate", "-n", NAMESPACE, "mdep/gated", "pinion.dev/reconcile=now", "--overwrite")
        cluster.kubectl("wait", "-n", NAMESPACE, "mdep/gated", "--for=condition=Ready", "--timeout=300s")
        cluster.get_until("one that serves", "mdep", "gated", NAMESPACE, lambda obj: serves(obj, 1))
