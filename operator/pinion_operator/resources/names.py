"""Labels, annotations and names that tie children to their owners."""

GROUP = "pinion.dev"
FIELD_MANAGER = "pinion-operator"

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "pinion-operator"
MANAGED_SELECTOR = f"{MANAGED_BY}={MANAGER}"  # children and their pods; pod templates carry it too
APP_NAME = "app.kubernetes.io/name"  # pinion-runtime | kubo
PART_OF = "app.kubernetes.io/part-of"  # pinion

DEPLOYMENT_LABEL = f"{GROUP}/deployment"  # name of the ModelDeployment, on every child and pod of it
REVISION_LABEL = f"{GROUP}/revision"  # on pods, ConfigMaps and ControllerRevisions
BACKEND_LABEL = f"{GROUP}/backend"  # name of the IpfsBackend, on every child and pod of it

DIGEST_ANNOTATION = f"{GROUP}/digest"  # of what we applied: shows that a field of ours went away
INPUTS_ANNOTATION = f"{GROUP}/inputs"  # on ControllerRevisions: hash of the user's inputs that the revision was rendered from
LIVE_ANNOTATION = f"{GROUP}/live"  # on pods: of the live.json that the kubelet was asked to bring at once
PAUSED_ANNOTATION = f"{GROUP}/paused"  # the user's: "true" = reconcile nothing
RECONCILE_ANNOTATION = f"{GROUP}/reconcile"  # the user's: another value = look now, and ask the hub now
RESTART_ANNOTATION = f"{GROUP}/restart"  # the user's: another value = a new revision; on ControllerRevisions: the last one seen
LEASE_LABEL = f"{GROUP}/lease"  # on the Lease of an operator: "operator"
SERVES_ANNOTATION = f"{GROUP}/serves"  # on a Lease: the namespaces that its holder serves, comma separated; `*` = all
BACKEND_FINALIZER = f"{GROUP}/ipfsbackend"


def kubo_name(backend: str) -> str:
    """Return the name of a managed Kubo's StatefulSet, Service, ConfigMap and Secret."""
    return f"{backend}-kubo"


def kubo_claim(backend: str) -> str:
    """Return the claim of a managed Kubo's volume, as the StatefulSet names it."""
    return f"data-{kubo_name(backend)}-0"


def kubo_client_secret(backend: str) -> str:
    """Return the Secret that runtime pods mount: key `token`, the bearer token of the RPC paths they may call."""
    return f"{backend}-kubo-client"


def kubo_rpc_url(backend: str, namespace: str) -> str:
    """Return the in-cluster URL of a managed Kubo's RPC API."""
    return f"http://{kubo_name(backend)}.{namespace}.svc:5001"


def kubo_gateway_url(backend: str, namespace: str) -> str:
    """Return the in-cluster URL of a managed Kubo's gateway."""
    return f"http://{kubo_name(backend)}.{namespace}.svc:8080"
