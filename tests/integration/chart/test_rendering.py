"""What the values do, from the rendered manifests; each Helm renders the same."""

import json
from typing import Any

import pytest

from devcluster.gotools import HELM, HELM_4, GoTool
from pinion_operator.settings import Settings
from tests.support.charts import WATCHED_KINDS, container, environment, one, render
from tests.support.model_world import World
from tests.support.promql_values import History, evaluate, labels


def kinds(documents: list[dict[str, Any]]) -> list[str]:
    return sorted(document["kind"] for document in documents)


def test_both_helms_render_the_same() -> None:
    assert render("operator.replicas=2", tool=HELM) == render("operator.replicas=2", tool=HELM_4)


def test_what_watches_is_made_where_its_kind_exists() -> None:
    assert not {"PodMonitor", "PrometheusRule"} & set(kinds(render()))
    assert {"PodMonitor", "PrometheusRule"} <= set(kinds(render(api=WATCHED_KINDS)))
    off = ("monitoring.podMonitor=false", "monitoring.prometheusRule=false")
    assert not {"PodMonitor", "PrometheusRule"} & set(kinds(render(*off, api=WATCHED_KINDS)))


def test_the_monitors_select_the_pods_that_are_made() -> None:
    """Labels and ports of the operator's pod are the chart's; those of a model's pods are the operator's."""
    documents = render("monitoring.podMonitor=true")
    monitors = {one["metadata"]["name"]: one["spec"] for one in documents if one["kind"] == "PodMonitor"}
    assert set(monitors) == {"r-operator", "r-operator-models"}
    model = World().serve().deployment
    for spec, template in (
        (monitors["r-operator"], one(documents, "Deployment")["spec"]["template"]),
        (monitors["r-operator-models"], model["spec"]["template"]),
    ):
        assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]} <= ports
    own, models = (monitors[name]["podMetricsEndpoints"][0] for name in ("r-operator", "r-operator-models"))
    assert own["honorLabels"], "the namespace of an object's metric must stay the object's"
    assert "honorLabels" not in models
    assert set(monitors["r-operator-models"]["podTargetLabels"]) <= set(model["spec"]["template"]["metadata"]["labels"])


def test_the_rules_about_who_leads_are_of_the_release() -> None:
    """Another installation that leads hides nothing; the pods' names are those that a Deployment gives."""
    documents = render("monitoring.prometheusRule=true")
    rules = {rule["alert"]: rule["expr"] for rule in one(documents, "PrometheusRule")["spec"]["groups"][0]["rules"]}
    name = one(documents, "Deployment")["metadata"]["name"]
    history = History()
    own, others = ({"namespace": "ns", "pod": f"{name}-{pod}"} for pod in ("6b7c9-x2x4z", "b-6b7c9-x2x4z"))
    leading, stands_by = "pinion_operator_leading", {"__name__": "pinion_operator_other_installation_leads", "lease": "b/x"}
    history.add(0, {labels(__name__=leading, **own): 0, labels(__name__=leading, **others): 1})
    history.add(60, {labels(__name__=leading, **own): 1, labels(__name__=leading, **others): 0})
    history.add(120, {labels(__name__=leading, **own): 0, labels(**stands_by, **own): 1})
    history.add(180, {labels(__name__=leading, **own): 0, labels(**stands_by, **others): 1})
    history.add(240, {})
    alone = [at for at, _ in history.scrapes if evaluate(rules["PinionOperatorNotLeading"], history, at)]
    assert alone == [0, 180, 240]
    two = [at for at, _ in history.scrapes if evaluate(rules["PinionTwoInstallations"], history, at)]
    assert two == [120]


@pytest.mark.parametrize("length", [1, 45, 50, 57, 60, 63])
def test_a_pod_is_known_as_the_release_s_however_long_its_name(length: int) -> None:
    name, hashed, random = "n" * length, "6b7c96b7d", "x2x4z"
    rule = one(render(f"fullnameOverride={name}", "monitoring.prometheusRule=true"), "PrometheusRule")
    not_leading = rule["spec"]["groups"][0]["rules"][0]
    assert not_leading["alert"] == "PinionOperatorNotLeading"
    history = History()
    pod = f"{name}-{hashed}-"[:58] + random
    history.add(0, {labels(__name__="pinion_operator_leading", namespace="ns", pod=pod): 1})
    assert not evaluate(not_leading["expr"], history, 0)


def test_one_replica_has_no_budget_and_more_are_spread() -> None:
    assert "PodDisruptionBudget" not in kinds(render())
    several = render("operator.replicas=2")
    assert "PodDisruptionBudget" in kinds(several)
    assert one(several, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert "PodDisruptionBudget" not in kinds(render("operator.replicas=2", "operator.podDisruptionBudget=false"))


def test_each_resource_can_be_set_and_taken_away() -> None:
    assert container(render("operator.resources.limits.memory=1Gi"))["resources"]["limits"] == {"memory": "1Gi"}
    assert "cpu" not in container(render("operator.resources.requests.cpu=null"))["resources"]["requests"]
    whole = render("operator.resources.requests=null", "operator.resources.limits=null")
    assert not container(whole)["resources"]


def test_only_our_definitions_are_brought_and_they_can_be_left_out() -> None:
    names = {d["metadata"]["name"] for d in render() if d["kind"] == "CustomResourceDefinition"}
    assert names == {"modeldeployments.pinion.dev", "ipfsbackends.pinion.dev"}
    assert "CustomResourceDefinition" not in kinds(render("crds.enabled=false"))
    kept = {
        keep: {
            d["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            for d in render(f"crds.keep={keep}")
            if d["kind"] == "CustomResourceDefinition"
        }
        for keep in ("true", "false")
    }
    assert kept == {"true": {"keep"}, "false": {None}}


def test_the_definitions_come_before_the_objects_of_the_same_sync() -> None:
    waves = {
        d["metadata"]["annotations"].get("argocd.argoproj.io/sync-wave")
        for keep in ("true", "false")
        for d in render(f"crds.keep={keep}")
        if d["kind"] == "CustomResourceDefinition"
    }
    assert waves == {"-1"}


def test_the_operators_pod_is_restricted() -> None:
    pod, context = one(render(), "Deployment")["spec"]["template"]["spec"], container(render())["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}


def rules_of_the_operator(rendered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules of every role that is bound to its account."""
    bound = {
        (document["roleRef"]["kind"], document["roleRef"]["name"])
        for document in rendered
        if document["kind"] in ("RoleBinding", "ClusterRoleBinding")
    }
    roles = [document for document in rendered if (document["kind"], document["metadata"]["name"]) in bound]
    assert len(roles) >= len(bound) > 1
    return [rule for role in roles for rule in role["rules"]]


@pytest.mark.parametrize("namespaces", ["", "operator.namespaces={models}"])
def test_no_rule_has_a_wildcard_and_no_secret_is_read_but_its_own_key(namespaces: str) -> None:
    rules = rules_of_the_operator(render(*filter(None, [namespaces])))
    for rule in rules:
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
    secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert {verb for rule in secrets if not rule.get("resourceNames") for verb in rule["verbs"]} == {"create", "delete"}
    named = [(rule["resourceNames"], rule["verbs"]) for rule in secrets if rule.get("resourceNames")]
    assert [verbs for _, verbs in named] == [["get"]]
    assert named[0][0][0].endswith("-operator-key")


@pytest.mark.parametrize("namespaces", ["", "operator.namespaces={models}"])
def test_your_objects_are_its_to_read_and_it_gives_nobody_rights(namespaces: str) -> None:
    rules = rules_of_the_operator(render(*filter(None, [namespaces])))
    verbs: dict[str, set[str]] = {}
    for rule in rules:
        for resource in rule["resources"]:
            verbs.setdefault(resource, set()).update(rule["verbs"])
    assert verbs["modeldeployments"] == {"get", "list", "watch"}
    assert verbs["ipfsbackends"] == {"get", "list", "watch", "patch"}, "a patch brings and takes the finalizer"
    assert verbs["modeldeployments/status"] == verbs["ipfsbackends/status"] == {"patch"}
    assert verbs["pods"] == {"list", "watch", "patch"}, "a patch lets the kubelet look at once"
    assert verbs["limitranges"] == {"list"}
    assert verbs["poddisruptionbudgets"] == {"get", "list", "create", "patch", "delete"}
    assert verbs["persistentvolumeclaims"] == {"get", "create", "patch"}, "the caches of models; never deleted"
    assert verbs["subjectaccessreviews"] == {"create"}, "by these, and by Leases, it sees another installation"
    assert not {"rbac.authorization.k8s.io", "authentication.k8s.io"} & {group for rule in rules for group in rule["apiGroups"]}
    assert not {"pods/exec", "serviceaccounts/token", "nodes", "namespaces"} & verbs.keys()


def test_local_addresses_are_refused_to_pods_until_they_are_allowed() -> None:
    for settings, value in (((), "false"), (("operator.allowLocalAddresses=true",), "true")):
        assert environment(render(*settings))["PINION_ALLOW_LOCAL_ADDRESSES"] == value


def test_xet_is_a_choice_that_the_operator_is_told() -> None:
    for settings, value in (((), "auto"), (("hub.xet=never",), "never"), (("hub.xet=null",), "auto")):
        assert environment(render(*settings))["PINION_HUB_XET"] == value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("operator.logLevel=INFO", ""),
        ("operator.allowedNetworks=null", ""),  # the values of a release from before there was such a value
        ("operator.allowedNetworks={10.96.0.0/12,fd00::/8,0.0.0.0/0,::/0,::ffff:10.0.0.0/104,1.2.3.4/32}", None),
    ],
)
def test_networks_for_the_operator(setting: str, value: str | None) -> None:
    told = value if value is not None else setting.partition("=")[2].strip("{}")
    assert environment(render(setting))["PINION_ALLOWED_NETWORKS"] == told
    needed = {"PINION_RUNTIME_IMAGE": "r", "PINION_KUBO_IMAGE": "k", "PINION_ALLOWED_NETWORKS": told}
    assert set(Settings.load([], needed).allowed_networks) == set(filter(None, told.split(",")))


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "10.0.0.1", "256.0.0.0/8", "10.0.0/8", "hub.example/24", "fd00::/129", "fd00/8", "", "10.0.0.0/8 "]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(AssertionError, match="allowedNetworks"):
        render(f"operator.allowedNetworks[0]={text}")


def test_secrets_of_a_registry_reach_the_operator_and_the_pods_that_it_makes() -> None:
    documents = render("imagePullSecrets[0].name=registry", "imagePullSecrets[1].name=mirror")
    named = [{"name": "registry"}, {"name": "mirror"}]
    assert [one["spec"]["imagePullSecrets"] for one in documents if one["kind"] == "Pod"] == [named]
    assert one(documents, "Deployment")["spec"]["template"]["spec"]["imagePullSecrets"] == named
    assert environment(documents)["PINION_IMAGE_PULL_SECRETS"] == "registry,mirror"
    assert environment(render())["PINION_IMAGE_PULL_SECRETS"] == ""


def test_proxies_and_variables_reach_the_operator_and_what_it_tells_pods() -> None:
    named = ("proxy.http=http://p:1", "proxy.https=http://u:s@p:2", "proxy.noProxy={corp.example,10.1.2.3}")
    told = environment(render(*named, "extraEnv[0].name=TEAM", "extraEnv[0].value=nlp"))
    assert (told["PINION_HTTP_PROXY"], told["PINION_HTTPS_PROXY"]) == ("http://p:1", "http://u:s@p:2")
    assert told["PINION_NO_PROXY"] == "corp.example,10.1.2.3"
    assert environment(render(r"proxy.noProxy=a\,b"))["PINION_NO_PROXY"] == "a,b"
    assert json.loads(told["PINION_EXTRA_ENV"]) == [{"name": "TEAM", "value": "nlp"}]
    assert told["TEAM"] == "nlp"
    nothing = environment(render())
    assert {nothing[f"PINION_{name}"] for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")} == {""}
    assert nothing["PINION_EXTRA_ENV"] == "[]"


@pytest.mark.parametrize(("kind", "reference"), [("configMap", "name"), ("secret", "secretName")])
def test_authorities_are_mounted_where_the_operator_looks(kind: str, reference: str) -> None:
    documents = render(f"extraCA.{kind}=corp", "extraCA.key=bundle.pem")
    pod = one(documents, "Deployment")["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "authorities"]
    assert volume[kind] == {reference: "corp", "items": [{"key": "bundle.pem", "path": "bundle.pem"}]}
    (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "authorities"]
    assert environment(documents)["PINION_CA_FILE"] == f"{mount['mountPath']}/bundle.pem"
    assert mount["readOnly"]
    assert "PINION_CA_FILE" not in environment(render())


def test_what_is_installed_is_what_the_operator_takes() -> None:
    """Each variable of the chart is a setting, and its values are ones that the operator accepts."""
    documents = render(
        "proxy.https=http://u:s@p:2", "extraEnv[0].name=TEAM", "extraEnv[0].value=nlp", "imagePullSecrets[0].name=a"
    )
    settings = Settings.load([], environment(documents))
    assert (settings.https_proxy, settings.image_pull_secrets) == ("http://u:s@p:2", ("a",))
    known = {f"PINION_{name.upper()}" for name in Settings.__dataclass_fields__}
    everything = environment(render("extraCA.secret=corp"))
    assert {name for name in everything if name.startswith("PINION_")} <= known


def test_every_pod_of_the_chart_asks_for_cpu_and_memory() -> None:
    """A namespace with a quota takes it."""
    documents = render("test.model=minilm")
    specs = [one(documents, "Deployment")["spec"]["template"]["spec"], one(documents, "Pod")["spec"]]
    for each in (each for spec in specs for each in spec["containers"]):
        assert each["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in each["resources"]["limits"]
    changed = one(render("test.resources.limits.memory=1Gi"), "Pod")["spec"]["containers"][0]
    assert changed["resources"]["limits"]["memory"] == "1Gi"


PLACES = "registry.example/team,localhost:5000,docker.io/x:1"


@pytest.mark.parametrize(
    ("setting", "allow", "prefixes"),
    [
        ("operator.logLevel=INFO", "false", ""),
        ("runtime=null", "false", ""),  # the values of a release from before there was such a value
        ("runtime.customImages.allow=true", "true", ""),
        (f"runtime.customImages.prefixes={{{PLACES}}}", "false", PLACES),
    ],
)
def test_custom_images_are_refused_until_they_are_allowed(setting: str, allow: str, prefixes: str) -> None:
    told = environment(render(setting))
    assert (told["PINION_ALLOW_CUSTOM_IMAGES"], told.get("PINION_CUSTOM_IMAGE_PREFIXES", "")) == (allow, prefixes)
    loaded = Settings.load([], {name: value or "" for name, value in told.items()})
    assert loaded.allow_custom_images == (allow == "true")
    assert set(loaded.custom_image_prefixes) == set(filter(None, prefixes.split(",")))


def test_user_and_group_are_the_clusters_where_that_is_said() -> None:
    for settings, run_as, user in (((), "Fixed", 65532), (("podSecurity.runAs=Cluster",), "Cluster", None)):
        documents = render(*settings)
        assert environment(documents)["PINION_RUN_AS"] == run_as
        for pod in (one(documents, "Deployment")["spec"]["template"]["spec"], one(documents, "Pod")["spec"]):
            assert pod["securityContext"].get("runAsUser") == user
            assert pod["securityContext"]["runAsNonRoot"] is True
    assert render("podSecurity=null") == render(), "values of a chart that had none"


REFUSED = {
    "a value that nobody knows": ("operator.replica=2", "replica"),
    "a map that nobody knows": ("operators.replicas=2", "operators"),
    "an image that nobody knows": ("image.gateway.repository=x", "gateway"),
    "a part of an image that nobody knows": ("image.operator.digests=x", "digests"),
    "a switch that nobody knows": ("crds.install=true", "install"),
    "a part of a Secret's name that nobody knows": ("test.keySecretRef.namespace=x", "namespace"),
    "a kind of resources that nobody knows": ("operator.resources.request.cpu=1", "request"),
    "no proxy": ("proxy.https=proxy:3128", "https"),
    "a name with a blank in noProxy": ("proxy.noProxy={a b}", "noProxy"),
    "a variable of ours": ("extraEnv[0].name=PINION_WORKERS,extraEnv[0].value=1", "extraEnv"),
    "a proxy among the variables": ("extraEnv[0].name=https_proxy,extraEnv[0].value=x", "extraEnv"),
    "a variable without a value": ("extraEnv[0].name=TEAM", "extraEnv"),
    "two sources of authorities": ("extraCA.configMap=a,extraCA.secret=b", "extraCA"),
    "too many replicas": ("operator.replicas=6", "replicas"),
    "no number": ("operator.workers=many", "workers"),
    "no URL": ("hub.endpoint=hub", "endpoint"),
    "no choice": ("hub.xet=always", "xet"),
    "a third state": ("monitoring.podMonitor=perhaps", "podMonitor"),
    "no namespace": ("networkPolicy.monitoringNamespaces={Monitoring}", "monitoringNamespaces"),
    "a name that no Service may have": ("fullnameOverride=2nd", "fullnameOverride"),
    "a name that is too long with a release's": ("nameOverride=a-name-of-23-characters", "nameOverride"),
    "a registry with a scheme": ("global.imageRegistry=https://registry.example", "imageRegistry"),
    "a Secret without a name": ("global.imagePullSecrets[0].secret=x", "imagePullSecrets"),
    "neither yes nor no": ("runtime.customImages.allow=perhaps", "allow"),
    "no registry": ("runtime.customImages.prefixes={team/x}", "prefixes"),
    "two places in one": ("runtime.customImages.prefixes[0]=a.example\\,b.example", "prefixes"),
    "a third user": ("podSecurity.runAs=Anybody", "runAs"),
}


@pytest.mark.parametrize("tool", [HELM, HELM_4], ids=["Helm 3", "Helm 4"])
@pytest.mark.parametrize(("setting", "name"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_value_is_refused_by_its_name(setting: str, name: str, tool: GoTool) -> None:
    key = setting.partition("=")[0]
    where = key.partition(".")[0].partition("[")[0] if "." in key else ""
    with pytest.raises(AssertionError) as refused:
        render(setting, tool=tool)
    assert "values don't meet the specifications of the schema" in str(refused.value)
    assert name in str(refused.value)
    assert where in str(refused.value)
