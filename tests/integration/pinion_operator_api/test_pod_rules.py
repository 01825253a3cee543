"""What may be said about pods and their programs, accepted and refused by a real API server, each refusal with its reason."""

import json
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from pinion_operator.api.volumes import OUR_PATHS
from tests.support.manifests import BACKEND, MODEL, with_value
from tests.support.rule_cases import Case, Submit, check_case, ids_of

pytestmark = pytest.mark.control_plane


def volume(**kind: Any) -> list[dict[str, Any]]:
    return [{"name": "a", **kind}]


def mounts(*paths: str, **more: Any) -> dict[str, Any]:
    """Return spec.pod with one volume that is mounted at these paths."""
    return {"volumes": volume(emptyDir={}), "volumeMounts": [{"name": "a", "mountPath": path, **more} for path in paths]}


def items(*counts: int, projected: int = 0) -> list[dict[str, Any]]:
    """Return volumes with so many items each."""
    keys = [{"key": f"a{number}", "path": f"b{number}"} for number in range(16)]
    several = [{"name": f"a{at}", "configMap": {"name": "a", "items": keys[:count]}} for at, count in enumerate(counts)]
    if projected:
        several.append({"name": "p", "projected": {"sources": [{"secret": {"name": "a", "items": keys[:projected]}}]}})
    return several


def sources(*counts: int) -> list[dict[str, Any]]:
    """Return projected volumes with so many sources each."""
    one = {"configMap": {"name": "a"}}
    return [{"name": f"a{at}", "projected": {"sources": [one] * count}} for at, count in enumerate(counts)]


def spread(**fields: Any) -> list[dict[str, Any]]:
    return [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", **fields}]


OURS = ["pinion.dev/revision", "app.kubernetes.io/name", "kubectl.kubernetes.io/restartedAt"]
NO_KEYS = ["", "a b", "/a", "a/b/c", "a/" + "b" * 64, "-a", "a_", "ä"]
LONG = "a" * 63
OK_MOUNT = {"name": "a", "mountPath": "/mnt/a"}
TOKEN = {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}}

CASES: list[Case] = [
    # (object, path, values that are accepted, values that are refused, a part of the message)
    (MODEL, "spec.pod", [{}], [], ""),
    (
        MODEL,
        "spec.pod.labels",
        [{}, {"team": "nlp", f"example.org/{LONG}": LONG, "a": ""}],
        [{key: "x"} for key in NO_KEYS],
        "must be names",
    ),
    (
        MODEL,
        "spec.pod.labels",
        [{"pinion.devs/x": "y"}],
        [{key: "x"} for key in [*OURS, "pod-template-hash"]],
        "are not a user's to set",
    ),
    (
        MODEL,
        "spec.pod.labels",
        [{str(n): "x" for n in range(16)}],
        [{str(n): "x" for n in range(17)}],
        "must have at most 16 items",
    ),
    (MODEL, "spec.pod.labels", [], [{"a": value} for value in ("a b", "-", "a/b", "a" * 64)], "spec.pod.labels.a"),
    (MODEL, "spec.pod.annotations", [{"example.org/a": "ü { }" * 9}], [{key: "x"} for key in OURS], "are not a user's to set"),
    (MODEL, "spec.pod.annotations", [], [{key: "x"} for key in NO_KEYS], "must be names"),
    (
        MODEL,
        "spec.pod.annotations",
        [],
        [{"container.apparmor.security.beta.kubernetes.io/runtime": "unconfined"}],
        "securityContext.appArmorProfile",
    ),
    (
        MODEL,
        "spec.pod.annotations",
        [{"a": "x" * 2000, "b": "ü" * 48}],
        [{"a": "x" * 2000, "b": "x" * 49}],
        "2048 characters together",
    ),
    (MODEL, "spec.pod.nodeSelector", [{"disk": "ssd", "nvidia.com/gpu.product": "A-100"}], [{"a b": "c"}], "must be names"),
    (
        MODEL,
        "spec.pod.tolerations",
        [[], [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}]],
        [["gpu"], {}],
        "tolerations",
    ),
    (MODEL, "spec.pod.tolerations", [[{}] * 16], [[{}] * 17], "must have at most 16 items"),
    (MODEL, "spec.pod.affinity", [{}, {"nodeAffinity": {"anything": [1, {"at": "all"}]}}], ["near", [1]], "spec.pod.affinity"),
    (
        MODEL,
        "spec.pod.topologySpreadConstraints",
        [[], spread(), spread(whenUnsatisfiable="DoNotSchedule", minDomains=2, matchLabelKeys=["pod-template-hash"])],
        [spread(minDomains=2)],
        "minDomains needs whenUnsatisfiable DoNotSchedule",
    ),
    (
        MODEL,
        "spec.pod.topologySpreadConstraints",
        [[*spread(), *spread(whenUnsatisfiable="DoNotSchedule")]],
        [spread() * 2],
        "Duplicate",
    ),
    (
        MODEL,
        "spec.pod.topologySpreadConstraints",
        [
            spread(labelSelector={"matchLabels": {"a": "b"}}, matchLabelKeys=["pinion.dev/deployment"]),
            spread(labelSelector={}, matchLabelKeys=["app"]),
        ],
        [
            spread(matchLabelKeys=["pinion.dev/deployment"]),
            spread(matchLabelKeys=["pod-template-hash", "app.kubernetes.io/name"]),
            spread(labelSelector={"matchLabels": {"a": "b"}}, matchLabelKeys=["a"]),
        ],
        "matchLabelKeys must not repeat",
    ),
    (MODEL, "spec.pod.topologySpreadConstraints", [], [spread(maxSkew=0)], "maxSkew"),
    (MODEL, "spec.pod.topologySpreadConstraints", [], [spread(whenUnsatisfiable="Perhaps")], "Unsupported value"),
    (
        MODEL,
        "spec.pod.topologySpreadConstraints",
        [],
        [[{"maxSkew": 1, "topologyKey": "a"}]],
        "whenUnsatisfiable: Required value",
    ),
    (
        MODEL,
        "spec.pod.topologySpreadConstraints",
        [spread(labelSelector={"matchLabels": {"app": "a"}})],
        [spread(labelSelector={"matchExpressions": []})],
        "unknown field",
    ),
    (
        MODEL,
        "spec.pod.priorityClassName",
        ["", "high"],
        ["system-node-critical", "system-cluster-critical"],
        "the cluster's own",
    ),
    (MODEL, "spec.pod.priorityClassName", [], ["High", "a b", "-a"], "priorityClassName"),
    (MODEL, "spec.pod.runtimeClassName", ["", "gvisor"], ["gVisor", "a/b"], "runtimeClassName"),
    (MODEL, "spec.pod.schedulerName", ["", "my.scheduler"], ["My", "a" * 254], "schedulerName"),
    (MODEL, "spec.pod.serviceAccountName", ["", "reader"], ["Reader", "a b"], "serviceAccountName"),
    (MODEL, "spec.pod.runAs", ["", "Fixed", "Cluster"], ["Root", "cluster"], "Unsupported value"),
    (MODEL, "spec.pod.securityContext.runAsUser", [1, 2_147_483_647], [0, -1, 2_147_483_648], "runAsUser"),
    (MODEL, "spec.pod.securityContext.runAsGroup", [0, 2000], [-1], "runAsGroup"),
    (MODEL, "spec.pod.securityContext.fsGroup", [0, 2000], [-1], "fsGroup"),
    (MODEL, "spec.pod.securityContext.fsGroupChangePolicy", ["Always", "OnRootMismatch"], ["Never"], "Unsupported value"),
    (MODEL, "spec.pod.securityContext.supplementalGroups", [[], [0, 5]], [[-1]], "supplementalGroups"),
    (MODEL, "spec.pod.securityContext.supplementalGroups", [[1] * 16], [[1] * 17], "must have at most 16 items"),
    *(
        case
        for context in ("securityContext", "containerSecurityContext")
        for case in (
            (MODEL, f"spec.pod.{context}.runAsNonRoot", [True], [False], "pods of Pinion never run as root"),
            (
                MODEL,
                f"spec.pod.{context}.seccompProfile",
                [{"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "a.json"}],
                [{"type": "Localhost"}, {"type": "RuntimeDefault", "localhostProfile": "a.json"}],
                "localhostProfile is given with type Localhost",
            ),
            (MODEL, f"spec.pod.{context}.seccompProfile", [], [{"type": "Unconfined"}], "Unsupported value"),
            (
                MODEL,
                f"spec.pod.{context}.appArmorProfile",
                [{"type": "RuntimeDefault"}],
                [{"type": "Unconfined"}],
                "Unsupported value",
            ),
            (
                MODEL,
                f"spec.pod.{context}.seLinuxOptions",
                [{"level": "s0:c1,c2", "type": "container_t"}],
                [{"type": "spc_t"}],
                "Unsupported value",
            ),
            (MODEL, f"spec.pod.{context}.seLinuxOptions", [], [{"user": "root"}], "unknown field"),
        )
    ),
    (MODEL, "spec.pod.securityContext", [{}], [{"sysctls": []}, {"windowsOptions": {}}], "unknown field"),
    (MODEL, "spec.pod.containerSecurityContext.runAsUser", [1000], [0], "runAsUser"),
    (MODEL, "spec.pod.containerSecurityContext.readOnlyRootFilesystem", [True, False], ["yes"], "readOnlyRootFilesystem"),
    (MODEL, "spec.pod.containerSecurityContext.allowPrivilegeEscalation", [False], [True], "pods of Pinion gain no privileges"),
    (MODEL, "spec.pod.containerSecurityContext.privileged", [False], [True], "pods of Pinion gain no privileges"),
    (
        MODEL,
        "spec.pod.containerSecurityContext.capabilities",
        [{}, {"add": []}],
        [{"add": ["NET_ADMIN"]}],
        "capabilities are never added",
    ),
    (MODEL, "spec.pod.containerSecurityContext.capabilities", [{"drop": ["ALL"]}], [{"drop": ["NET_RAW"]}], "all are dropped"),
    (MODEL, "spec.pod.containerSecurityContext", [{}], [{"procMount": "Unmasked"}], "unknown field"),
    (
        MODEL,
        "spec.pod",
        [],
        [{"hostNetwork": True}, {"hostPID": True}, {"automountServiceAccountToken": True}, {"nodeName": "n"}],
        "unknown field",
    ),
    # volumes
    (
        MODEL,
        "spec.pod.volumes",
        [
            [],
            volume(configMap={"name": "a", "items": [{"key": "a", "path": "b/c"}], "defaultMode": 288}),
            volume(secret={"secretName": "a", "optional": True}),
            volume(emptyDir={}),
            volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"}),
            volume(persistentVolumeClaim={"claimName": "a", "readOnly": True}),
            volume(projected={"sources": [TOKEN, {"configMap": {"name": "a"}}, {"secret": {"name": "a"}}]}),
        ],
        [volume(), volume(emptyDir={}, configMap={"name": "a"})],
        "a volume is exactly one of configMap, secret, emptyDir, persistentVolumeClaim, projected",
    ),
    (
        MODEL,
        "spec.pod.volumes",
        [[{"name": name, "emptyDir": {}}] for name in ("configs", "backend-x", "pinion", "shared")],
        [
            [{"name": name, "emptyDir": {}}]
            for name in (
                "config",
                "live",
                "state",
                "tmp",
                "cache",
                "peers",
                "api-keys",
                "hub-token",
                "shm",
                "backend-0",
                "shared-12",
                "pinion-x",
            )
        ],
        "this name is Pinion's own",
    ),
    (MODEL, "spec.pod.volumes", [], [volume(emptyDir={}) * 2], "Duplicate value"),
    (MODEL, "spec.pod.volumes", [], [[{"name": "A", "emptyDir": {}}], [{"name": "a" * 64, "emptyDir": {}}]], "name"),
    (MODEL, "spec.pod.volumes", [], [volume(emptyDir={"sizeLimit": size}) for size in ("0", "1m", "1Ki")], "from 1Mi to 1Ei"),
    (MODEL, "spec.pod.volumes", [], [volume(emptyDir={"medium": "HugePages"})], "Unsupported value"),
    (MODEL, "spec.pod.volumes", [], [volume(configMap={"name": "a", "defaultMode": 512})], "defaultMode"),
    (
        MODEL,
        "spec.pod.volumes",
        [volume(configMap={"name": "a", "items": [{"key": "a", "path": "a..b"}]})],
        [volume(configMap={"name": "a", "items": [{"key": "a", "path": path}]}) for path in ("../b", "a/../b", "/a", "..")],
        "path must be relative",
    ),
    (MODEL, "spec.pod.volumes", [], [volume(projected={"sources": [{}]})], "a source is exactly one of"),
    (
        MODEL,
        "spec.pod.volumes",
        [items(16), items(4, 4)],
        [items(16, 1), items(4, 4, projected=9)],
        "at most 16 items together",
    ),
    (
        MODEL,
        "spec.pod.volumes",
        [sources(16), sources(8, 8)],
        [sources(16, 1), sources(6, 6, 6)],
        "at most 16 projected sources together",
    ),
    (MODEL, "spec.pod.volumes", [], [volume(projected={"sources": []})], "should have at least 1 items"),
    (
        MODEL,
        "spec.pod.volumes",
        [],
        [volume(projected={"sources": [{"serviceAccountToken": {"path": "a", "expirationSeconds": 599}}]})],
        "expirationSeconds",
    ),
    (
        MODEL,
        "spec.pod",
        [
            mounts("/mnt/a", "/data", "/srv/b"),
            mounts("/mnt/a", subPath="b/c", readOnly=True),
            mounts("/etc/pinions", "/var/lib/other", "/tmpfs"),
        ],
        [
            mounts(path)
            for path in ("mnt", "/", "/mnt/", "/mnt/..", "/mnt/../etc", "/mnt/./a", "//mnt", "/mnt//a", "/mnt/a:b", "/..")
        ],
        "mountPath must be an absolute path",
    ),
    (
        MODEL,
        "spec.pod",
        [],
        [
            mounts(path)
            for path in (
                *OUR_PATHS,
                *(f"{path}/a" for path in OUR_PATHS),
                "/etc",
                "/var",
                "/var/lib",
                "/opt",
                "/var/lib/pinion/hf/hub",
            )
        ],
        "is Pinion's or the system's own",
    ),
    (
        MODEL,
        "spec.pod",
        [],
        [{"volumeMounts": [OK_MOUNT]}, {"volumes": [{"name": "b", "emptyDir": {}}], "volumeMounts": [OK_MOUNT]}],
        "must name one of spec.pod.volumes",
    ),
    (
        MODEL,
        "spec.pod",
        [],
        [{**mounts(), "volumeMounts": [{"name": name, "mountPath": "/mnt/a"}]} for name in ("state", "config", "hub-token")],
        "must name one of spec.pod.volumes",
    ),
    (MODEL, "spec.pod", [], [mounts("/mnt/a", "/mnt/a")], "Duplicate value"),
    (MODEL, "spec.pod", [mounts("/mnt/a", "/mnt/ab")], [mounts("/mnt/a", "/mnt/a/b")], "must not lie inside one another"),
    (
        MODEL,
        "spec.pod",
        [],
        [mounts("/mnt/a", subPath=path) for path in ("../a", "/a", "a/..", "..")],
        "subPath must be relative",
    ),
    # the program
    (MODEL, "spec.runtime.shmSize", ["", "1Mi", "2Gi"], ["0", "1Ki", "1m", "big", "-1Gi"], "shmSize must be"),
    (
        MODEL,
        "spec.runtime.args",
        [[], ["--drain-seconds=5"], ["--live-seconds=0.5", "--drain-seconds=0"]],
        [
            [argument]
            for argument in (
                "--port=9",
                "--management-port=9",
                "--content-port=9",
                "--host=::",
                "--config=/mnt/c",
                "--live=/mnt/l",
                "--cache-dir=/mnt",
                "--peer=http://x",
                "--peer-token-file=/x",
                "org/model",
                "--drain-seconds",
                "5",
                "--drain=5",
                "--live-seconds=1e9",
                "--dtype=auto",
                "--live-seconds=-1",
                "",
            )
        ],
        "spec.runtime.args[0]",
    ),
    (
        MODEL,
        "spec.runtime.args",
        [["--live-seconds=60"]],
        [["--live-seconds=0"], ["--live-seconds=60.1"], ["--live-seconds=3600"]],
        "from 0.1 to 60",
    ),
    (MODEL, "spec.runtime.args", [], [["--live-seconds=1", "--live-seconds=2"]], "the same flag twice"),
    (MODEL, "spec.runtime.args", [], [["--drain-seconds=6"], ["--drain-seconds=300"]], "limits.requestTimeoutSeconds + 15"),
    (
        MODEL,
        "spec",
        [{**MODEL["spec"], "terminationGracePeriodSeconds": 330, "runtime": {"args": ["--drain-seconds=15"]}}],
        [],
        "",
    ),
    (
        MODEL,
        "spec.runtime.env",
        [
            [],
            [{"name": "A"}, {"name": "b_C9", "value": "$(A) ü"}],
            [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}}],
            [
                {"name": name}
                for name in (
                    "PATHS",
                    "MY_HOME",
                    "PROXY",
                    "HFX",
                    "CUDA_VISIBLE_DEVICES",
                    "OMP_WAIT_POLICY",
                    "TZ",
                    "TOKENIZERS_PARALLELISM",
                )
            ],
        ],
        [[{"name": "A", "value": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]],
        "value or valueFrom, not both",
    ),
    (MODEL, "spec.runtime.env", [], [[{"name": "A", "valueFrom": {}}]], "exactly one of secretKeyRef"),
    (
        MODEL,
        "spec.runtime.env",
        [[{"name": "A", "value": "x" * 3000}, {"name": "B", "value": "ü" * 72}, {"name": "C"}]],
        [[{"name": "A", "value": "x" * 3000}, {"name": "B", "value": "x" * 73}]],
        "3072 characters together",
    ),
    (MODEL, "spec.runtime.env", [], [[{"name": "A"}, {"name": "A"}]], "Duplicate value"),
    (MODEL, "spec.runtime.env", [], [[{"name": name}] for name in ("1A", "A B", "A=B", "", "A-B")], "spec.runtime.env[0].name"),
    (
        MODEL,
        "spec.runtime.env",
        [[{"name": f"A{n}"} for n in range(32)]],
        [[{"name": f"A{n}"} for n in range(33)]],
        "must have at most 32 items",
    ),
    (
        MODEL,
        "spec.runtime.envFrom",
        [[{"prefix": "APP_", "secretRef": {"name": "s"}}, {"prefix": "APP_", "configMapRef": {"name": "c", "optional": True}}]],
        [[{"prefix": "APP_"}], [{"prefix": "APP_", "secretRef": {"name": "s"}, "configMapRef": {"name": "c"}}]],
        "exactly one of configMapRef and secretRef",
    ),
    (MODEL, "spec.runtime.envFrom", [], [[{"secretRef": {"name": "s"}}]], "prefix: Required value"),
    (
        MODEL,
        "spec.runtime.envFrom",
        [],
        [[{"prefix": prefix, "secretRef": {"name": "s"}}] for prefix in ("", "A-", "1")],
        "prefix",
    ),
    # a managed Kubo
    (BACKEND, "spec.managed.nodeSelector", [{"disk": "ssd"}], [{"a b": "c"}], "must be names"),
    (BACKEND, "spec.managed.tolerations", [[{"operator": "Exists"}]], [["x"]], "tolerations"),
    (BACKEND, "spec.managed.affinity", [{"nodeAffinity": {}}], ["x"], "affinity"),
    (BACKEND, "spec.managed.priorityClassName", ["high"], ["system-node-critical"], "the cluster's own"),
    (BACKEND, "spec.managed.runAs", ["", "Fixed", "Cluster"], ["Root"], "Unsupported value"),
]


@pytest.mark.parametrize("case", CASES, ids=ids_of(CASES))
def test_rule(submit: Submit, case: Case) -> None:
    check_case(submit, case)


@pytest.mark.parametrize("kind", ["hostPath", "csi", "nfs", "ephemeral", "image", "downwardAPI", "gitRepo"])
@pytest.mark.usefixtures("crds")
def test_other_kinds_of_volumes_are_refused_to_every_client(control_plane: ControlPlane, namespace: str, kind: str) -> None:
    """Also to one that lets the API server drop what the schema does not have."""
    manifest = json.dumps(with_value(MODEL, "spec.pod.volumes", [{"name": "a", kind: {"path": "/etc"}}]))
    for validation, words in (
        ("strict", f'unknown field "spec.pod.volumes[0].{kind}"'),
        ("ignore", "a volume is exactly one of"),
    ):
        where = (f"--namespace={namespace}", "--dry-run=server", f"--validate={validation}", "-f", "-")
        with pytest.raises(KubectlError) as refused:
            control_plane.kubectl("create", *where, input=manifest)
        assert words in refused.value.stderr
