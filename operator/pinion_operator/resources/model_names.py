"""The names and labels of a ModelDeployment's children.

The CRD bounds a ModelDeployment's name at 40 characters and a revision's name has 10, so none of these passes 63.
"""

import hashlib
from collections.abc import Mapping

from .names import APP_NAME, DEPLOYMENT_LABEL, GROUP, REVISION_LABEL

RUNTIME = "pinion-runtime"
SOURCE_ANNOTATION = f"{GROUP}/source"  # on ControllerRevisions: hash of what the user says about the source
CONTAINER = "runtime"  # the serving container of a pod


def service_account_name(deployment: str) -> str:
    """Return the ServiceAccount of the pods; it has no rights and no token."""
    return f"{deployment}-runtime"


def revision_name(deployment: str, revision: str) -> str:
    """Return the ControllerRevision of a revision, and the ConfigMap of one that was made before it had a name of its own."""
    return f"{deployment}-{revision}"


def config_map_name(deployment: str, revision: str, config_digest: str) -> str:
    """Return the immutable ConfigMap of a revision.

    Its name tells its content, because a kubelet goes on giving out what it knows of an immutable ConfigMap by name: an object
    that is made anew must not meet its predecessor's.
    """
    return f"{revision_name(deployment, revision)}-{config_digest[:8]}"


def live_name(deployment: str, revision: str) -> str:
    """Return the ConfigMap of what may change without a restart."""
    return f"{deployment}-{revision}-live"


def cache_claim_name(deployment: str) -> str:
    """Return the PersistentVolumeClaim that is made for the pods' copy of the model."""
    return f"{deployment}-cache"


def authorities_name(deployment: str) -> str:
    """Return the ConfigMap of the certificates that the installation adds."""
    return f"{deployment}-authorities"


def peers_name(deployment: str) -> str:
    """Return the headless Service over the pods' content ports."""
    return f"{deployment}-peers"


def peers_secret_name(deployment: str, uid: str) -> str:
    """Return the Secret with the bearer token of the content ports: a predecessor's, which is about to go, has another name."""
    return f"{peers_name(deployment)}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}"


def peers_host(deployment: str, namespace: str) -> str:
    """Return the name that resolves to the address of every pod, ready or not."""
    return f"{peers_name(deployment)}.{namespace}.svc"


def selector_labels(deployment: str) -> Mapping[str, str]:
    """Return the labels that the Deployment and the Service select pods by: of all revisions."""
    return {APP_NAME: RUNTIME, DEPLOYMENT_LABEL: deployment}


def revision_labels(deployment: str, revision: str) -> Mapping[str, str]:
    """Return the labels of what belongs to one revision."""
    return {**selector_labels(deployment), REVISION_LABEL: revision}
