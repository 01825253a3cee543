"""The Deployment of the runtime pods: the revision's own pod template, word for word, and how pods replace each other."""

from dataclasses import dataclass
from typing import Any

from .kinds import DEPLOYMENT, Object
from .model_names import selector_labels
from .names import DIGEST_ANNOTATION
from .owner import build_child, digest


@dataclass(frozen=True)
class Replacement:
    """How pods of one revision replace those of another."""

    max_surge: int = 1
    max_unavailable: int = 0
    progress_deadline_seconds: int = 1800
    revision_history_limit: int = 3
    recreate: bool = False  # the old pods stop first, whatever the numbers say


def build_deployment(owner: Object, template: Object, replicas: int, replacement: Replacement) -> dict[str, Any]:
    """Return the Deployment."""
    name = owner["metadata"]["name"]
    rolling = {"maxUnavailable": replacement.max_unavailable, "maxSurge": replacement.max_surge}
    rolling_update = {"type": "RollingUpdate", "rollingUpdate": rolling}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": dict(selector_labels(name))},
        "strategy": {"type": "Recreate"} if replacement.recreate else rolling_update,
        "progressDeadlineSeconds": replacement.progress_deadline_seconds,
        "revisionHistoryLimit": replacement.revision_history_limit,
        "template": template,
    }
    built = build_child(owner, DEPLOYMENT.api_version, DEPLOYMENT.name, name, {"spec": spec}, labels=selector_labels(name))
    # Without the number of pods: scaling, also somebody else's, is then told apart from every other change.
    built["metadata"]["annotations"][DIGEST_ANNOTATION] = digest({**spec, "replicas": None})
    return built
