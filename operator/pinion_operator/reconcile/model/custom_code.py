"""What of a ModelDeployment runs code that is not ours, or brings Secrets to it."""

from collections.abc import Iterator, Mapping

from ...api.modeldeployment import ModelDeploymentSpec
from ...api.volumes import Volume
from ..custom_code import CustomCode

# Below these nothing of an image is: a mount anywhere else may take the place of a program or a library of it.
_FREE_PATHS = ("/mnt", "/media", "/data")
# Whose admission webhooks put containers, libraries or credentials into pods that ask for it by label or annotation.
_INJECTORS = (
    "istio.io", "linkerd.io", "kuma.io", "hashicorp.com", "dapr.io", "opentelemetry.io", "datadoghq.com", "newrelic.com",
    "dynatrace.com", "amazonaws.com", "azure.workload.identity", "bank-vaults.dev", "banzaicloud.com", "infisical.com",
    "conjur.org",
)  # fmt: skip
# A mesh's own sidecar or none, and which ports it leaves alone.
_HARMLESS = (
    "sidecar.istio.io/inject", "linkerd.io/inject", "kuma.io/sidecar-injection", "config.linkerd.io/skip-inbound-ports",
    "config.linkerd.io/skip-outbound-ports", "traffic.sidecar.istio.io/",
)  # fmt: skip


def refuse_custom_code(spec: ModelDeploymentSpec, allowed: CustomCode, default_image: str) -> str:
    """Return why no revision may be made of the spec, "" when one may; each field by name, and who can allow it."""
    image = allowed.refuse_image("spec.runtime.image", spec.runtime.image, default_image)
    return "; ".join(filter(None, (image, allowed.refuse_fields(tuple(_fields(spec))))))


def _fields(spec: ModelDeploymentSpec) -> Iterator[str]:
    """Yield the fields that need the switch."""
    runtime, pod = spec.runtime, spec.pod
    if runtime.args:
        yield "spec.runtime.args"
    for variable in runtime.env:
        if variable.value_from and variable.value_from.secret_key_ref:
            yield f"spec.runtime.env[{variable.name}].valueFrom.secretKeyRef"
    if runtime.env_from:
        yield "spec.runtime.envFrom"
    if pod.service_account_name:
        yield "spec.pod.serviceAccountName"
    for volume in pod.volumes:
        if kind := _brings_secrets(volume):
            yield f"spec.pod.volumes[{volume.name}].{kind}"
    for mount in pod.volume_mounts:
        if not any(f"{mount.mount_path}/".startswith(f"{path}/") for path in _FREE_PATHS):
            yield f"spec.pod.volumeMounts[{mount.mount_path}] (outside {', '.join(_FREE_PATHS)})"
    yield from _injected("spec.pod.labels", pod.labels)
    yield from _injected("spec.pod.annotations", pod.annotations)


def _brings_secrets(volume: Volume) -> str:
    """Return the kind of a volume through which Secrets or tokens come, "" of the others."""
    if volume.secret:
        return "secret"
    if volume.projected and any(source.secret or source.service_account_token for source in volume.projected.sources):
        return "projected"
    return ""


def _injected(field: str, said: Mapping[str, str]) -> Iterator[str]:
    for key in said:
        domain = key.partition("/")[0]
        known = any(domain == one or domain.endswith(f".{one}") for one in _INJECTORS)
        if known and not key.startswith(_HARMLESS):
            yield f"{field}[{key}]"
