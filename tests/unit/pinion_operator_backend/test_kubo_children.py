"""The children of a managed Kubo."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from pinion_operator.reconcile.backend.children import pending_children, settings_of
from pinion_operator.resources.kinds import ref_of
from pinion_operator.resources.kubo_secret import (
    Credentials,
    build_kubo_secret,
    derive_credentials,
    format_swarm_key,
    read_value,
)


def build(backends: Any, **spec: Any) -> dict[str, Any]:
    seen = backends.observed(backends.make(**spec))
    wanted = pending_children(seen, seen.backend)
    return {child["kind"]: child for child in (*wanted.create, *wanted.apply)}


def pod_of(children: dict[str, Any]) -> dict[str, Any]:
    return dict(children["StatefulSet"]["spec"]["template"]["spec"])


def test_every_child_is_owned_and_found_by_our_labels(backends: Any) -> None:
    for child in build(backends).values():
        meta = child["metadata"]
        assert meta["namespace"] == "ns"
        assert [(owner["kind"], owner["uid"], owner["controller"]) for owner in meta["ownerReferences"]] == [
            ("IpfsBackend", "u1", True)
        ]
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "pinion-operator"
        assert meta["labels"]["pinion.dev/backend"] == "b"


def test_pods_are_watched_and_selected(backends: Any) -> None:
    children = build(backends)
    labels = children["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "pinion-operator"
    for selector in (children["Service"]["spec"]["selector"], children["StatefulSet"]["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels.items()


def test_restricted(backends: Any) -> None:
    pod = pod_of(build(backends))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip


def test_only_the_script_sees_the_secrets(backends: Any) -> None:
    pod = pod_of(build(backends))
    mounts = {
        container["name"]: {one["name"] for one in container["volumeMounts"]}
        for container in (*pod["initContainers"], *pod["containers"])
    }
    assert mounts == {"configure": {"data", "tmp", "setup", "secrets"}, "kubo": {"data", "tmp"}}


def test_private_and_without_collection(backends: Any) -> None:
    daemon = pod_of(build(backends))["containers"][0]
    assert {"name": "LIBP2P_FORCE_PNET", "value": "1"} in daemon["env"]
    assert {"name": "IPFS_TELEMETRY", "value": "off"} in daemon["env"]
    assert daemon["command"] == ["ipfs", "daemon", "--migrate=true"]


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_volume_of_its_own(backends: Any, policy: str) -> None:
    storage = {"size": "10Gi", "storageClassName": "fast"}
    spec = build(backends, managed={"storage": storage}, reclaimPolicy=policy)["StatefulSet"]["spec"]
    claim = spec["volumeClaimTemplates"][0]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}, "storageClassName": "fast",
    }  # fmt: skip
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": policy, "whenScaled": "Retain"}
    variables = {one["name"]: one["value"] for one in spec["template"]["spec"]["initContainers"][0]["env"]}
    assert variables["STORAGE_MAX"] == str(9 * 2**30)


def test_an_empty_dir(backends: Any) -> None:
    children = build(backends, managed={"storage": {"type": "EmptyDir", "size": "1Gi"}})
    assert "volumeClaimTemplates" not in children["StatefulSet"]["spec"]
    assert {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}} in pod_of(children)["volumes"]


@pytest.mark.parametrize(
    ("requests", "limits", "expected_requests", "expected_limits"),
    [
        ({}, {}, {"cpu": "100m", "memory": "256Mi"}, {"memory": "1Gi"}),
        ({}, {"memory": "128Mi", "cpu": 2}, {"cpu": "100m", "memory": "128Mi"}, {"memory": "128Mi", "cpu": 2}),
        ({"memory": "512Mi"}, {}, {"cpu": "100m", "memory": "512Mi"}, {"memory": "1Gi"}),
        ({"memory": "2Gi"}, {}, {"cpu": "100m", "memory": "2Gi"}, {"memory": "2Gi"}),
    ],
)
def test_resources(backends: Any, requests: Any, limits: Any, expected_requests: Any, expected_limits: Any) -> None:
    seen = backends.observed(backends.make(managed={"resources": {"requests": requests, "limits": limits}}))
    settings = settings_of(seen, seen.backend.spec)
    assert settings.resources == {"requests": expected_requests, "limits": expected_limits}


def test_go_collects_below_the_memory_limit(backends: Any) -> None:
    variables = {one["name"]: one["value"] for one in pod_of(build(backends))["containers"][0]["env"]}
    assert variables["GOMEMLIMIT"] == str(2**30 * 8 // 10)


def test_images(backends: Any) -> None:
    assert pod_of(build(backends))["containers"][0]["image"] == "kubo:1"
    assert pod_of(build(backends, managed={"image": "kubo:2"}))["initContainers"][0]["image"] == "kubo:2"


def test_a_change_of_the_secret_restarts_the_pod(backends: Any) -> None:
    seen = backends.observed(backends.make())
    one = settings_of(seen, seen.backend.spec)
    told = replace(seen, credentials=replace(backends.fresh, operator_token="x"))
    other = settings_of(told, seen.backend.spec)
    assert one.config_digest != other.config_digest
    assert one.secret_name != other.secret_name


def test_each_secret_holds_what_its_pods_need(backends: Any) -> None:
    children = pending_children(seen := backends.observed(backends.make()), seen.backend).create
    ours, clients = children
    assert {key: read_value(ours, key) for key in ours["data"]} == {
        "swarm.key": backends.fresh.swarm_key, "operator-token": "operator", "client-token": "client",
    }  # fmt: skip
    assert clients["data"].keys() == {"token"}
    assert read_value(clients, "token") == "client"
    assert "pinion.dev/digest" not in str(ours["metadata"])
    assert ref_of(clients).name == "b-kubo-client"


def test_credentials_follow_from_the_key_and_the_uid_alone() -> None:
    one = derive_credentials(b"k" * 32, "u1")
    assert one == derive_credentials(b"k" * 32, "u1")
    values = {value for key, uid in ((b"k", "u1"), (b"k", "u2"), (b"l", "u1")) for value in parts(derive_credentials(key, uid))}
    assert len(values) == 9, "no two of them are the same"
    assert all(len(bytes.fromhex(token)) == 32 for token in (one.operator_token, one.client_token))


def parts(credentials: Credentials) -> tuple[str, str, str]:
    return credentials.swarm_key, credentials.operator_token, credentials.client_token


@pytest.mark.parametrize("data", [None, {}, {"k": ""}, {"k": "!"}, {"k": "/w=="}])
def test_a_spoilt_value_counts_as_none(data: Any) -> None:
    assert read_value({"data": data}, "k") == ""


def test_credentials_do_not_show(backends: Any) -> None:
    assert "operator" not in repr(backends.fresh)
    secret = build_kubo_secret(backends.make(), backends.fresh)
    assert base64.b64decode(secret["data"]["operator-token"]) == b"operator"


def test_swarm_key() -> None:
    assert format_swarm_key(bytes(32)) == "/key/swarm/psk/1.0.0/\n/base16/\n" + "0" * 64 + "\n"


def test_only_runtime_pods_and_the_operator_reach_it(backends: Any) -> None:
    obj = backends.make()
    seen = backends.observed(obj, operator_namespace="pinion-system")
    policy = next(child for child in pending_children(seen, seen.backend).apply if child["kind"] == "NetworkPolicy")
    runtime = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "pinion-runtime"}}}
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "pinion-system"}}}
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "kubo", "pinion.dev/backend": "b"}
    assert [(rule["ports"][0]["port"], rule["from"]) for rule in policy["spec"]["ingress"]] == [
        (5001, [runtime, operator]),
        (8080, [runtime]),
    ]
    unknown = backends.observed(obj)
    anywhere = next(child for child in pending_children(unknown, unknown.backend).apply if child["kind"] == "NetworkPolicy")
    assert anywhere["spec"]["ingress"][0]["from"] == [runtime, {"namespaceSelector": {}}]
