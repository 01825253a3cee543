"""The Reconciler of ModelDeployments: gathers what the decision looks at. All I/O of the kind begins here."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import ValidationError

from ...api.modeldeployment import ModelDeployment
from ...api.source import HuggingFaceSource
from ...cluster.errors import ForbiddenError
from ...probes.hub import Access, probe_source, probe_upstream
from ...probes.pods import probe_pods
from ...probes.tokens import Credential, no_token, read_hub_token
from ...reconcile.model import limit_ranges
from ...reconcile.model.annotations import is_paused, reconcile_wish
from ...reconcile.model.cache import cache_claim
from ...reconcile.model.decide import decide_model_deployment
from ...reconcile.model.idle import idle_reason, is_at_rest
from ...reconcile.model.live import is_renaming
from ...reconcile.model.observed import Observed, Pod
from ...reconcile.model.pods import waits_for_volumes
from ...reconcile.model.progress import progress_marks
from ...reconcile.model.scope import Scope, build_scope
from ...reconcile.model.shared_claims import mounted_claims
from ...reconcile.model.source import Resolution, SourceFacts, Unresolved
from ...reconcile.model.spec_problems import refuse_spec
from ...reconcile.model.upstream import can_move
from ...reconcile.model.waiting import waiting_objects
from ...reconcile.plan import Plan
from ...resources.kinds import (
    DEPLOYMENT,
    IPFSBACKEND,
    LIMITRANGE,
    MODELDEPLOYMENT,
    PERSISTENTVOLUMECLAIM,
    POD,
    PODDISRUPTIONBUDGET,
    REPLICASET,
    Key,
    Kind,
    Object,
    Ref,
    ref_of,
)
from ...resources.names import DEPLOYMENT_LABEL
from ...resources.owner import controller_of
from ...resources.peers import build_peers_secret
from ...resources.pod_volumes import mounted_peers_secret
from ..reconciler import Context
from ..secret_looks import SecretLooks
from ..warning_events import WarningEvents, warnings_about
from .progress import Progress
from .resolutions import Resolutions
from .upstreams import Upstreams


class ModelDeploymentReconciler:
    """Between passes it keeps the hub's answers, how far pods have got and since when, and when progress was last shown."""

    def __init__(self) -> None:
        self._resolutions = Resolutions()
        self._upstreams = Upstreams()
        self._progress = Progress()
        self._warning_events = WarningEvents()
        self._secret_looks = SecretLooks(at_start=False)
        self._renaming: dict[Key, float] = {}  # since when all pods answer to the old name and the new one
        self._shown: dict[Key, tuple[object, float]] = {}  # the transfer in status, and since when

    @property
    def kind(self) -> Kind:
        """Return ModelDeployment."""
        return MODELDEPLOYMENT

    async def observe(self, obj: Object, context: Context) -> Observed:
        """Gather children, backends and pods from the store, the pods' own words, and the hub's answer where it is needed."""
        meta = obj["metadata"]
        key = (meta["namespace"], meta["name"])
        children = {ref_of(child): child for child in context.children(meta["uid"])}
        orphans = context.orphans(DEPLOYMENT_LABEL, *key)
        backends = context.list(IPFSBACKEND, meta["namespace"])
        scope, problem = None, ""
        try:
            model = ModelDeployment.parse(obj)
        except ValidationError as error:
            problem = _explain(error)
        else:
            ages = {backend["metadata"]["name"]: _seconds_since(backend, context.now()) for backend in backends}
            refused = refuse_spec(model.spec, context.defaults.custom_code, context.defaults.runtime_image)
            scope = build_scope(model, children.values(), orphans.values(), backends, ages, refused)
        seen = Observed(
            obj=obj,
            scope=scope,
            problem=problem,
            children=children,
            orphans=orphans,
            taken=context.taken,
            backends=backends,
            refused=context.refused,
            answers=context.answers,
            known_cids=_known_cids(context.list(MODELDEPLOYMENT, meta["namespace"]), obj, context.defaults.hub_endpoint),
            progress_age=self._progress_age(key, obj),
            runtime_image=context.defaults.runtime_image,
            image_pull_policy=context.defaults.image_pull_policy,
            run_as=context.defaults.run_as,
            hub_endpoint=context.defaults.hub_endpoint,
            allow_local_addresses=context.defaults.allow_local_addresses,
            management_namespaces=context.defaults.management_namespaces,
            **_budgets(meta["namespace"], context),
            platform=context.platform(),
            fresh_token=secrets.token_urlsafe(32),
        )
        if scope is None or scope.model.deleting or is_paused(scope.model.metadata.annotations):
            return seen
        seen = await self._with_cache_claim(seen, scope.model, context)
        seen = replace(seen, resolution=self._resolution(scope, key, context))
        upstream, unasked = self._upstream(scope, key, context), self._upstreams.unasked(key)
        seen = replace(seen, upstream=upstream, unasked=unasked, pods=await self._pods(key, children, context))
        if limit_ranges.matter(seen):
            seen = replace(seen, limit_ranges=await _limit_ranges(meta["namespace"], context))
        waits = any(waits_for_volumes(pod) for pod in seen.pods)
        if self._secret_looks.due(key, frozenset(), waits=waits) and scope.current and waits:
            secret = mounted_peers_secret(scope.current.template)
            with self._secret_looks.asking(key):
                gone = await context.api.is_free(build_peers_secret(obj, secret, seen.fresh_token))
            seen = replace(seen, peers_secret_gone=gone)
        seen = await self._with_mounted_claims(seen, scope, context)
        ask = partial(warnings_about, context.api)
        seen = replace(seen, warnings=await self._warning_events.look(key, waiting_objects(seen), ask))
        if scope.current and is_renaming(seen, scope.model, scope.current):
            since = self._renaming.setdefault(key, time.monotonic())
            seen = replace(seen, renaming_age=time.monotonic() - since)
        else:
            self._renaming.pop(key, None)
        return replace(seen, since_progress=self._progress.look(key, progress_marks(seen)))

    def decide(self, observed: Observed) -> Plan:
        """Return what to do now."""
        return decide_model_deployment(observed)

    async def unpin(self, obj: Object, cids: tuple[str, ...], context: Context) -> None:
        """Refuse: pins belong to the backends, and no plan of this kind asks for it."""
        raise NotImplementedError

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone."""
        self._resolutions.forget(key)
        self._upstreams.forget(key)
        self._progress.forget(key)
        self._warning_events.forget(key)
        self._secret_looks.forget(key)
        self._shown.pop(key, None)
        self._renaming.pop(key, None)

    async def _with_cache_claim(self, seen: Observed, model: ModelDeployment, context: Context) -> Observed:
        """Look at the claim of the pods' volume: claims are not watched, and asked for only while the object is not at rest."""
        name = cache_claim(model)
        if not name or is_at_rest(model):
            return seen
        claim = await context.api.get(PERSISTENTVOLUMECLAIM, (model.metadata.namespace, name))
        return replace(seen, cache_claim=claim, cache_looked_at=True)

    async def _with_mounted_claims(self, seen: Observed, scope: Scope, context: Context) -> Observed:
        """Look at the claims of backends and others that the pods mount, and at who else mounts them; not at rest."""
        namespace = scope.model.metadata.namespace
        names = mounted_claims(scope.model, scope.current) if scope.current and not is_at_rest(scope.model) else ()
        if not names:
            return seen
        claims = {name: await context.api.get(PERSISTENTVOLUMECLAIM, (namespace, name)) for name in names}
        return replace(seen, claims=claims, deployments=context.list(DEPLOYMENT, namespace))

    async def _pods(self, key: Key, children: Mapping[Ref, Object], context: Context) -> tuple[Pod, ...]:
        deployment = children.get(Ref(DEPLOYMENT, *key))
        if deployment is None:
            return ()
        tied = context.store.labelled(DEPLOYMENT_LABEL, *key)
        ours = [obj for obj in tied if obj["kind"] == POD.name and _runs_for(deployment, obj, context)]
        return await probe_pods(context.http, sorted(ours, key=_age), context.probing)

    def _resolution(self, scope: Scope, key: Key, context: Context) -> Resolution | None:
        if not scope.needs_source:
            self._resolutions.forget(key)  # it is in a ControllerRevision, or nobody wants it
            return None
        source, wish = scope.model.spec.model.source.hugging_face, reconcile_wish(scope.model)
        assert source is not None, "only a hub has to be asked"
        asked = _asked(scope)

        async def ask(attempt: int) -> SourceFacts | Unresolved:
            return await _with_access(source, key, context, lambda access: probe_source(source, access, attempt))

        found = self._resolutions.look(key, asked + wish, ask, partial(context.enqueue, Ref(MODELDEPLOYMENT, *key)))
        if isinstance(found, SourceFacts):
            self._upstreams.learned(key, asked, wish, found, source.track_interval_seconds)
        return found

    def _upstream(self, scope: Scope, key: Key, context: Context) -> SourceFacts | None:
        source, revision = scope.model.spec.model.source.hugging_face, scope.current
        if not can_move(source):
            self._upstreams.forget(key)
            return None
        if revision is None or idle_reason(scope.model):
            return None

        async def ask(known: SourceFacts) -> SourceFacts | Unresolved:
            return await _with_access(
                source, key, context, lambda access: probe_upstream(source, access, known, revision.source)
            )

        return self._upstreams.look(
            key,
            _asked(scope),
            reconcile_wish(scope.model),
            revision.source,
            source.track_interval_seconds,
            ask,
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


def _budgets(namespace: str, context: Context) -> dict[str, Any]:
    problem = context.listing(PODDISRUPTIONBUDGET, namespace)
    known = context.list(PODDISRUPTIONBUDGET, namespace) if problem == "" else None
    return {"budgets": known, "budgets_problem": problem or ""}


async def _limit_ranges(namespace: str, context: Context) -> tuple[Object, ...]:
    """Return the namespace's; none where the operator may not list them, as an older chart has it."""
    try:
        _, found = await context.api.list(LIMITRANGE, namespace)
    except ForbiddenError:
        return ()
    return tuple(found)


def _asked(scope: Scope) -> str:
    """Return what the hub is asked for: an object made anew under the same name asks again."""
    return scope.inputs.source + scope.model.metadata.uid


async def _with_access(
    source: HuggingFaceSource, key: Key, context: Context, ask: Callable[[Access], Awaitable[SourceFacts | Unresolved]]
) -> SourceFacts | Unresolved:
    """Ask the hub with the token that the object names; a token that cannot be had is an answer too."""
    defaults, reference, credential = context.defaults, source.token_secret_ref, Credential()
    if reference:
        try:
            secret = await context.secrets.get((key[0], reference.name))
        except ForbiddenError as error:
            return no_token(f"Secret {reference.name!r} of tokenSecretRef may not be read by the operator: {error}")
        found = read_hub_token(secret, reference.name, reference.key, key[0], defaults.hub_endpoint)
        if isinstance(found, Unresolved):
            return found
        credential = found
    return await ask(Access(defaults.hub_endpoint, credential, defaults.allowed_networks))


def _known_cids(deployments: tuple[Object, ...], own: Object, default: str) -> Mapping[str, str]:
    """Return the CID by source digest, as other ModelDeployments of the namespace have learned it from the same hub.

    What another hub says of its files is no proof that it may have those of this one.
    """
    found: dict[str, str] = {}
    for obj in deployments:
        model = obj.get("status", {}).get("model") or {}
        same_hub = _hub_of(obj, default) == _hub_of(own, default)
        if obj["metadata"]["name"] != own["metadata"]["name"] and same_hub and model.get("sourceDigest") and model.get("cid"):
            found[model["sourceDigest"]] = model["cid"]
    return found


def _hub_of(obj: Object, default: str) -> str:
    source = obj["spec"].get("model", {}).get("source", {}).get("huggingFace") or {}
    return str(source.get("endpoint") or default).rstrip("/")


def _seconds_since(obj: Object, now: datetime) -> float:
    made = obj["metadata"].get("creationTimestamp")
    return (now - datetime.fromisoformat(made)).total_seconds() if made else 0.0


def _runs_for(deployment: Object, pod: Object, context: Context) -> bool:
    """Return whether the pod's chain of owners leads to this very Deployment.

    Labels anybody can write, and those of a predecessor's pod, which may still drain, are the same.
    """
    namespace, maker = pod["metadata"]["namespace"], controller_of(pod)
    replica_set = context.get(REPLICASET, (namespace, maker["name"])) if maker else None
    if maker is None or replica_set is None or replica_set["metadata"]["uid"] != maker["uid"]:
        return False
    owner = controller_of(replica_set)
    return owner is not None and owner["uid"] == deployment["metadata"]["uid"]


def _age(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]


def _explain(error: ValidationError) -> str:
    """Return what is wrong with the object, by field, without the values."""
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5])
