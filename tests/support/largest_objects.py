"""The largest object of each kind; of a kind that is one of several things, the largest of each."""

from collections.abc import Callable
from typing import Any

from pinion_operator.api.crd import DEFINITIONS, build_crd
from tests.support.largest import largest

NAMESPACE = "n" * 63
_SPECS: dict[str, Any] = {
    definition.model.__name__: build_crd(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for definition in DEFINITIONS
}


def _object(kind: str, character: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    spec = largest(_SPECS[kind], "spec", character)
    change(spec)
    return {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "m" * 40, "namespace": NAMESPACE},
        "spec": spec,
    }


def _model(character: str) -> dict[str, Any]:
    def shape(spec: dict[str, Any]) -> None:
        del spec["model"]["source"]["ipfs"]  # or the other, which is shorter
        spec["model"]["source"]["huggingFace"]["revisionPolicy"] = "Pin"  # Track goes without `expected`, which is longer
        _differ(spec["model"]["source"]["huggingFace"], character)
        spec["storage"]["cache"] |= {
            "type": "PVC",
            "sizeLimit": "",
        }  # a claim that is made, which is more than one that is named
        spec["storage"]["cache"]["pvc"]["claimName"] = ""
        selectors = [selector for one in spec["networkPolicy"]["allowFrom"] for selector in one.values()]
        assert len(selectors[0]["matchLabels"]) == 16
        for selector in selectors[4:]:  # 64 labels together
            selector["matchLabels"] = {}
        _shape_pod(spec["pod"])
        for one in spec["runtime"]["envFrom"]:
            del one["configMapRef"]  # or the other, which is as long

    return _object("ModelDeployment", character, shape)


def _differ(source: dict[str, Any], character: str) -> None:
    """Let not all that is wanted be left out again: one pattern is longer by what another one loses."""
    patterns = source["ignorePatterns"]
    between = next(at for at, pattern in enumerate(patterns) if 1 < len(pattern) < len(patterns[0]))
    patterns[0] = patterns[0][:-1]
    patterns[between] += character


def _shape_pod(pod: dict[str, Any]) -> None:
    """Let the parts of a pod agree with each other, without becoming shorter than they could be."""
    for number, (volume, mount) in enumerate(zip(pod["volumes"], pod["volumeMounts"], strict=True)):
        mount |= {"name": volume["name"], "mountPath": f"/{'a' * 249}{number:03}"}
    for one in pod["topologySpreadConstraints"]:
        one["whenUnsatisfiable"] = "DoNotSchedule"  # which may have minDomains
    for context in (pod["securityContext"], pod["containerSecurityContext"]):
        context["runAsNonRoot"] = True
        context["seccompProfile"]["type"] = context["appArmorProfile"]["type"] = "Localhost"


def _backend(type_: str, *parts: str, gateways: int = 8, api: bool = False) -> Callable[[str], dict[str, Any]]:
    def make(character: str) -> dict[str, Any]:
        def shape(spec: dict[str, Any]) -> None:
            spec["type"] = type_
            for name in {"managed", "external", "cache"} - set(parts):
                del spec[name]
            if "managed" in spec:
                spec["managed"]["storage"]["type"] = "PVC"  # which may have a class
            if "external" in spec:
                del spec["external"]["gatewayURLs"][gateways:]
                spec["external"] |= {} if api else {"apiURL": ""}

        return _object("IpfsBackend", character, shape)

    return make


LARGEST: dict[str, Callable[[str], dict[str, Any]]] = {
    "a ModelDeployment": _model,
    "a managed Kubo": _backend("Kubo", "managed"),
    "an external Kubo": _backend("Kubo", "external", gateways=1, api=True),
    "gateways": _backend("TrustlessGateway", "external"),
    "a shared cache": _backend("HuggingFaceCache", "cache"),
}
