"""The Reconciler of ModelDeployments: gathers what the decision looks at. All I/O of the kind begins here."""

import time
from dataclasses import replace
from functools import partial

from pydantic import ValidationError

from ..api.modeldeployment import ModelDeployment
from ..probes.hub import probe_source
from ..probes.pods import probe_pods
from ..reconcile.inputs import source_hash
from ..reconcile.modeldeployment import decide_model_deployment, needs_source
from ..reconcile.observed import Observed, Pod, Resolution
from ..reconcile.plan import Plan
from ..resources.kinds import IPFSBACKEND, MODELDEPLOYMENT, POD, Key, Kind, Object, Ref, ref_of
from ..resources.model_names import RUNTIME
from ..resources.names import APP_NAME, DEPLOYMENT_LABEL
from .reconciler import Context
from .resolutions import Resolutions


class ModelDeploymentReconciler:
    """Between passes it keeps the hub's answers until they are in a ControllerRevision, and when progress was last shown."""

    def __init__(self) -> None:
        self._resolutions = Resolutions()
        self._shown: dict[Key, tuple[object, float]] = {}  # the transfer in status, and since when

    @property
    def kind(self) -> Kind:
        """Return ModelDeployment."""
        return MODELDEPLOYMENT

    async def observe(self, obj: Object, context: Context) -> Observed:
        """Gather children, backends and pods from the store, the pods' own words, and the hub's answer where it is needed."""
        meta = obj["metadata"]
        key = (meta["namespace"], meta["name"])
        try:
            model, problem = ModelDeployment.parse(obj), ""
        except ValidationError as error:
            model, problem = None, _explain(error)
        seen = Observed(
            obj=obj,
            model=model,
            problem=problem,
            children={ref_of(child): child for child in context.children(meta["uid"])},
            taken=context.taken,
            backends=context.list(IPFSBACKEND, meta["namespace"]),
            progress_age=self._progress_age(key, obj),
            runtime_image=context.defaults.runtime_image,
            hub_endpoint=context.defaults.hub_endpoint,
        )
        if model is None or model.deleting:
            return seen
        return replace(seen, pods=await self._pods(key, context), resolution=self._resolution(seen, model, key, context))

    def decide(self, observed: Observed) -> Plan:
        """Return what to do now."""
        return decide_model_deployment(observed)

    async def unpin(self, obj: Object, cids: tuple[str, ...], context: Context) -> None:
        """Refuse: pins belong to the backends, and no plan of this kind asks for it."""
        raise NotImplementedError

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone."""
        self._resolutions.forget(key)
        self._shown.pop(key, None)

    async def _pods(self, key: Key, context: Context) -> tuple[Pod, ...]:
        namespace, name = key
        found = context.list(POD, namespace, {DEPLOYMENT_LABEL: name, APP_NAME: RUNTIME})
        ours = [pod for pod in found if _is_of_deployment(pod, name)]
        return await probe_pods(context.http, sorted(ours, key=_age))

    def _resolution(self, seen: Observed, model: ModelDeployment, key: Key, context: Context) -> Resolution | None:
        if not needs_source(seen):
            self._resolutions.forget(key)  # it is in a ControllerRevision, or nobody wants it
            return None
        source = model.spec.model.source.hugging_face
        return self._resolutions.look(
            key,
            source_hash(model.spec) + model.metadata.uid,
            partial(probe_source, source, context.defaults.hub_endpoint),
            partial(context.enqueue, Ref(MODELDEPLOYMENT, *key)),
        )

    def _progress_age(self, key: Key, obj: Object) -> float:
        """Return for how many seconds the transfer in status has been what it is, as far as this process has seen."""
        transfer, now = obj.get("status", {}).get("transfer"), time.monotonic()
        shown, since = self._shown.get(key, (None, now))
        if transfer is None:
            self._shown.pop(key, None)
            return 0.0
        if shown != transfer:
            self._shown[key] = (transfer, now)
            return 0.0
        return now - since


def _is_of_deployment(pod: Object, name: str) -> bool:
    """Return whether the pod comes from the Deployment's ReplicaSet: labels alone anybody can write."""
    return any(
        owner.get("controller") and owner["kind"] == "ReplicaSet" and owner["name"].startswith(f"{name}-")
        for owner in pod["metadata"].get("ownerReferences", ())
    )


def _age(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]


def _explain(error: ValidationError) -> str:
    """Return what is wrong with the object, by field, without the values."""
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5])
