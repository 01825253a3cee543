"""What the schema cannot refuse: sizes of what is passed through, and what this cluster does not allow."""

import json

from ...api.modeldeployment import ModelDeploymentSpec
from ..custom_code import CustomCode
from .custom_code import refuse_custom_code
from .named_tree import refuse_root

# What is passed through to Kubernetes has no bound in the schema. It stands in each revision, Deployment, ReplicaSet and pod;
# and the whole object must fit into the annotation in which `kubectl apply` keeps it, with these characters as six.
LARGEST = 8192
_ESCAPED = "<>&"


def refuse_spec(spec: ModelDeploymentSpec, allowed: CustomCode, default_image: str) -> str:
    """Return why no revision may be made of the spec, "" when one may."""
    return refuse_root(spec) or _too_large(spec) or refuse_custom_code(spec, allowed, default_image)


def _too_large(spec: ModelDeploymentSpec) -> str:
    for name, said in (("affinity", spec.pod.affinity), ("tolerations", spec.pod.tolerations)):
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode()) + 5 * sum(map(text.count, _ESCAPED))
        if size > LARGEST:
            return f"spec.pod.{name} has {size} bytes as JSON, and may have {LARGEST}"
    return ""
