"""The Deployment of the runtime pods: the revision's own pod template, word for word, and a number of replicas."""

from typing import Any

from .kinds import DEPLOYMENT, Object
from .model_names import selector_labels
from .names import DIGEST_ANNOTATION
from .owner import build_child, digest

PROGRESS_DEADLINE_SECONDS = 1800  # a large model on a slow link is on its way for a long time
REVISION_HISTORY_LIMIT = 3


def build_deployment(owner: Object, template: Object, replicas: int) -> dict[str, Any]:
    """Return the Deployment. A pod goes only when another one is ready: one more may run meanwhile."""
    name = owner["metadata"]["name"]
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": dict(selector_labels(name))},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        "template": template,
    }
    built = build_child(owner, DEPLOYMENT.api_version, DEPLOYMENT.name, name, {"spec": spec}, labels=selector_labels(name))
    # Without the number of pods: scaling, also somebody else's, is then told apart from every other change.
    built["metadata"]["annotations"][DIGEST_ANNOTATION] = digest({**spec, "replicas": None})
    return built
