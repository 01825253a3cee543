"""One ModelDeployment and its surroundings as plain data, for tests of pure decisions: what a plan asks for is done at once."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from pinion_contract.config import Limits, LiveConfig
from pinion_contract.status import (
    BackendUse,
    Failure,
    ModelFacts,
    Phase,
    PodStatus,
    SourceBytes,
    SourceType,
    Timings,
    Transfer,
    Warm,
)
from pinion_operator.api.modeldeployment import ModelDeployment
from pinion_operator.api.modeldeployment_status import ModelDeploymentStatus
from pinion_operator.conditions import Reason
from pinion_operator.controller.answers import Answers
from pinion_operator.reconcile.admission import explain
from pinion_operator.reconcile.custom_code import CustomCode
from pinion_operator.reconcile.model.decide import decide_model_deployment
from pinion_operator.reconcile.model.idle import is_at_rest
from pinion_operator.reconcile.model.observed import Observed, Pod, SinceProgress
from pinion_operator.reconcile.model.revision import Revision, revisions_of
from pinion_operator.reconcile.model.scope import Scope, build_scope
from pinion_operator.reconcile.model.source import Resolution, SourceFacts, Unresolved
from pinion_operator.reconcile.model.spec_problems import refuse_spec
from pinion_operator.reconcile.plan import Plan
from pinion_operator.reconcile.refusal import Refusal
from pinion_operator.resources.configmap import CONFIG_KEY, LIVE_KEY
from pinion_operator.resources.kinds import (
    CONFIGMAP,
    DEPLOYMENT,
    PERSISTENTVOLUMECLAIM,
    POD,
    PODDISRUPTIONBUDGET,
    SECRET,
    Object,
    Ref,
    kind_of,
    ref_of,
)
from pinion_operator.resources.model_names import live_name
from pinion_operator.resources.names import DIGEST_ANNOTATION
from pinion_operator.resources.platform import PLAIN, Platform

NAMESPACE, NAME, UID = "ml", "minilm", "uid-of-minilm"
CID = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
MANIFEST_CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
OTHER_CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
SOURCE = SourceFacts(commit="1" * 40, source_digest="d1" * 32, total_bytes=90_000_000, file_count=11)
EARLIER = "2026-01-01T00:00:00Z"


class World:
    """Spec, children, pods, backends, and the hub's answer; every method that changes it returns it."""

    def __init__(self, **spec: Any) -> None:
        model = {"source": {"huggingFace": {"repo": "org/model"}}, **spec.pop("model", {})}
        self.obj: dict[str, Any] = {
            "apiVersion": "pinion.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"namespace": NAMESPACE, "name": NAME, "uid": UID, "generation": 1, "labels": {"team": "nlp"}},
            "spec": {"model": model, **spec},
            "status": {"observedGeneration": -1},
        }
        self.children: dict[Ref, dict[str, Any]] = {}
        self.orphans: dict[Ref, dict[str, Any]] = {}
        self.pods: list[Pod] = []
        self.backends: list[dict[str, Any]] = []
        self.resolution: Resolution | None = SOURCE
        self.taken: frozenset[Ref] = frozenset()
        self.upstream: SourceFacts | None = None
        self.unasked: Unresolved | None = None
        self.refused: dict[Ref, Refusal] = {}
        self.admission: Callable[[dict[str, Any]], None] = lambda child: None  # what a webhook does to what is applied
        self.answers = Answers()
        self.claims: dict[str, dict[str, Any] | None] = {}
        self.deployments: tuple[dict[str, Any], ...] = ()  # of other ModelDeployments
        self.warnings: dict[str, tuple[dict[str, Any], ...]] = {}
        self.applied: list[Ref] = []
        self.known_cids: dict[str, str] = {}
        self.backend_ages: dict[str, float] = {}
        self.since_progress = SinceProgress()
        self.progress_age = 0.0
        self.renaming_age = 0.0
        self.cache_claim: dict[str, Any] | None = None
        self.image = "runtime:1"
        self.image_pull_policy = "IfNotPresent"
        self.platform: Platform = PLAIN
        self.other_budgets: list[dict[str, Any]] = []
        self.budgets_problem: str | None = ""  # None: nobody has looked yet
        self.limit_ranges: tuple[dict[str, Any], ...] = ()
        self.run_as = "Fixed"
        self.custom_code = CustomCode(allow=True)

    # what happens around it

    def change(self, **spec: Any) -> Self:
        """Change fields of the spec, as a user does."""
        self.obj["spec"] = {**self.obj["spec"], **spec}
        self.obj["metadata"]["generation"] += 1
        return self

    def change_source(self, **fields: Any) -> Self:
        """Change fields of model.source.huggingFace."""
        model = copy.deepcopy(self.obj["spec"]["model"])
        model["source"]["huggingFace"] |= fields
        return self.change(model=model)

    def annotate(self, **annotations: str) -> Self:
        """Set annotations of ours, by what follows the slash; "" takes one off."""
        kept = self.obj["metadata"].setdefault("annotations", {})
        kept |= {f"pinion.dev/{name}": value for name, value in annotations.items() if value}
        for name in (name for name, value in annotations.items() if not value):
            kept.pop(f"pinion.dev/{name}", None)
        return self

    def backend_is(self, name: str, *, ready: bool) -> Self:
        """Let an IpfsBackend say that it is Ready, or not."""
        backend = next(backend for backend in self.backends if backend["metadata"]["name"] == name)
        backend["status"]["conditions"][0] |= {"status": str(ready), "reason": "Healthy" if ready else "Failed"}
        return self

    def backend_is_not_asked(self, name: str) -> Self:
        """Let an IpfsBackend say that the operator does not ask it."""
        backend = next(backend for backend in self.backends if backend["metadata"]["name"] == name)
        backend["status"]["conditions"][0] |= {"status": "Unknown", "reason": "NotAsked"}
        return self

    def backend(self, name: str, *, ready: bool = True, priority: int = 100) -> Self:
        """Add an IpfsBackend."""
        condition = {"type": "Ready", "status": str(ready), "reason": "Healthy" if ready else "NotProbed"}
        self.backends.append(
            {
                "metadata": {"namespace": NAMESPACE, "name": name, "uid": f"uid-of-{name}", "generation": 1},
                "spec": {"type": "Kubo", "priority": priority, "managed": {}},
                "status": {"observedGeneration": 1, "conditions": [condition]},
            }
        )
        return self

    def pod(self, name: str, *, revision: str = "", status: PodStatus | None = None, **state: Any) -> Self:
        """Add a pod of the current revision, or replace the one of this name.

        `state`: ready, running, problem, leaving, conditions, container (fields of its container status).
        """
        ready = state.get("ready", status is not None and status.phase == Phase.READY)
        running = {"state": {"running": {}}} if state.get("running", status is not None) else {}
        obj: dict[str, Any] = {
            "metadata": {
                "namespace": NAMESPACE,
                "name": name,
                "uid": f"uid-of-{name}",
                "labels": {"pinion.dev/revision": revision or self.revision.name},
                **({"deletionTimestamp": EARLIER} if state.get("leaving") else {}),
            },
            "status": {
                "phase": "Running",
                "podIP": "127.1.0.1",
                "conditions": [{"type": "Ready", "status": str(bool(ready))}, *state.get("conditions", ())],
                "containerStatuses": [{"name": "runtime", "image": "runtime:1", **running, **state.get("container", {})}],
            },
        }
        self.pods = [pod for pod in self.pods if pod.obj["metadata"]["name"] != name]
        self.pods.append(Pod(obj, status, state.get("problem", "")))
        return self

    def made_anew(self, **spec: Any) -> Self:
        """Delete the object with `--cascade=orphan` and apply its file again, changed by `spec`."""
        self.orphans = {ref: child for ref, child in self.children.items() if ref.kind != SECRET}
        for child in self.orphans.values():
            del child["metadata"]["ownerReferences"]
        self.children = {ref: child for ref, child in self.children.items() if ref.kind == SECRET}
        meta = {**self.obj["metadata"], "uid": "another-uid", "generation": 1}
        self.obj |= {"metadata": meta, "status": {"observedGeneration": -1}, "spec": {**self.obj["spec"], **spec}}
        return self

    def settle_as_before(self) -> Self:
        """Settle, with pods that read the first form of the configuration and say nothing of names."""
        self.settle()
        self.pods = [
            Pod(pod.obj, self.says(served_names=(), expected_cid=""), pod.problem) if pod.status else pod for pod in self.pods
        ]
        self.roll_out().settle()
        return self

    def warn(self, uid: str, reason: str, note: str) -> Self:
        """Let Kubernetes say something in a Warning event about what has this uid, instead of what it said before."""
        self.warnings[uid] = ({"reason": reason, "note": note},)
        return self

    def no_pods(self) -> Self:
        """Remove all pods."""
        self.pods = []
        return self

    def says(self, **fields: Any) -> PodStatus:
        """Return the status of a pod of the current revision that serves; `fields` differ."""
        facts = {"name": NAME, "cid": CID, "manifest_cid": MANIFEST_CID, "opened_cid": CID, "task": "feature-extraction"}
        backends = self.revision.backends
        status = PodStatus(
            phase=Phase.READY,
            config_digest=self.revision.config_digest,
            expected_cid=self.live.expected_cid,
            served_names=self.live.served_names,
            cors_origins=self.live.cors_origins or (),
            revision=self.revision.name,
            limits=Limits(),
            model=ModelFacts(**{**facts, **fields.pop("model", {})}),
            backend=BackendUse(active=backends[0], preferred=backends[0], pinned_in=backends[:1]) if backends else BackendUse(),
            warm=Warm(done=True, inputs=8, seconds=0.5),
            timings=Timings(fetch_seconds=2.0, load_seconds=1.0, warmup_seconds=0.5, cold_start_seconds=4.0),
            transfer=transfer(100),
        )
        return status.model_copy(update=fields)

    def fetching(self, percent: int, **fields: Any) -> PodStatus:
        """Return the status of a pod that brings the files and knows no CID yet."""
        unknown = {"cid": "", "manifest_cid": "", "opened_cid": ""}
        return self.says(phase=Phase.FETCHING, model=unknown, transfer=transfer(percent), warm=Warm(), **fields).model_copy(
            update={"backend": BackendUse(), "timings": Timings()}
        )

    def failed(self, failure: Failure) -> PodStatus:
        """Return the status of a pod that failed."""
        return self.fetching(0, failure=failure).model_copy(update={"phase": Phase.FAILED})

    def roll_out(self) -> Self:
        """Do as the Deployment's controller: report as ready what the spec wants."""
        deployment = self.deployment
        count = deployment["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), count)
        deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"], **counts}
        return self

    # what the operator does

    @property
    def scope(self) -> Scope:
        """Return what follows from the objects alone."""
        model = ModelDeployment.parse(self.obj)
        refused = refuse_spec(model.spec, self.custom_code, self.image)
        return build_scope(model, self.children.values(), self.orphans.values(), self.backends, self.backend_ages, refused)

    @property
    def budgets(self) -> tuple[Object, ...] | None:
        """Return every PodDisruptionBudget of the namespace, None when they are not known."""
        ours = [child for ref, child in self.children.items() if ref.kind == PODDISRUPTIONBUDGET]
        return (*ours, *self.other_budgets) if self.budgets_problem == "" else None

    def seen(self) -> Observed:
        """Return what a decision looks at."""
        return Observed(
            obj=self.obj,
            scope=self.scope,
            children=self.children,
            orphans=self.orphans,
            taken=self.taken,
            pods=tuple(self.pods),
            backends=tuple(self.backends),
            resolution=self.resolution,
            upstream=self.upstream,
            unasked=self.unasked,
            refused=self.refused,
            answers=self.answers.of(ref_of(self.obj)),
            warnings=self.warnings,
            claims={} if is_at_rest(ModelDeployment.parse(self.obj)) else self.claims,
            deployments=(*self.deployments, *(child for ref, child in self.children.items() if ref.kind == DEPLOYMENT)),
            known_cids=self.known_cids,
            since_progress=self.since_progress,
            fresh_token="a-token",
            peers_secret_gone=not any(ref.kind == SECRET for ref in self.children),
            progress_age=self.progress_age,
            renaming_age=self.renaming_age,
            cache_claim=self.cache_claim,
            cache_looked_at=not is_at_rest(ModelDeployment.parse(self.obj)),
            runtime_image=self.image,
            image_pull_policy=self.image_pull_policy,
            platform=self.platform,
            budgets=self.budgets,
            budgets_problem=self.budgets_problem or "",
            limit_ranges=self.limit_ranges,
            run_as=self.run_as,
        )

    def decide(self) -> Plan:
        """Decide once, changing nothing."""
        return decide_model_deployment(self.seen())

    def carry_out(self, plan: Plan) -> Self:
        """Do what a plan asks for, as the API server would."""
        if plan.status is not None:
            conditions = [{**condition, "lastTransitionTime": EARLIER} for condition in plan.status["conditions"]]
            self.obj["status"] = {**plan.status, "conditions": conditions}
        for child in plan.replace:
            self.children.pop(ref_of(child), None)
        for child in (*plan.replace, *plan.create):
            made = self._put(child)
            if kind_of(child) != SECRET:
                self._hear(child, made)
        for child in plan.apply:
            self.applied.append(ref_of(child))
            self._hear(child, self._put(child))
        for pod in self.pods:
            annotations = plan.annotate.get(Ref(POD, NAMESPACE, pod.obj["metadata"]["name"]), {})
            pod.obj["metadata"].setdefault("annotations", {}).update(annotations)
        for ref in plan.delete:
            del self.children[ref]
        return self

    def settle(self) -> Plan:
        """Decide and carry out until there is nothing to write; return the last plan."""
        for _ in range(10):
            plan = self.decide()
            if plan == Plan(after=plan.after):
                return plan
            self.carry_out(plan)
        raise AssertionError(f"the decision does not come to rest: {self.decide()}")

    def serve(self, replicas: int = 1) -> Self:
        """Bring it to Ready with so many pods."""
        self.settle()
        self.pod("pod-0", status=self.says())
        self.settle()
        for index in range(replicas):
            self.pod(f"pod-{index}", status=self.says())
        self.roll_out().settle()
        return self

    def restart(self) -> Self:
        """Forget what only a process knows."""
        self.answers, self.refused = Answers(), {}
        return self

    def try_again(self) -> Self:
        """Let so much time pass that what was refused is tried once more."""
        self.refused = {ref: replace(refusal, again=True) for ref, refusal in self.refused.items()}
        return self

    def _hear(self, child: Object, answer: Object) -> None:
        ref = ref_of(child)
        mutation, vital, _ = self.answers.note(ref_of(self.obj), self.obj, child, answer)
        self.refused.pop(ref, None)
        if mutation and vital:
            digest = child["metadata"]["annotations"][DIGEST_ANNOTATION]
            message = explain(vital, mutation.answer.varying)
            self.refused[ref] = Refusal(digest, message, reason=Reason.ADMISSION_CONFLICT)

    def _put(self, child: Object) -> Object:
        obj = copy.deepcopy(dict(child))
        self.admission(obj)
        if kind_of(child) == PERSISTENTVOLUMECLAIM:  # not watched, and not always owned
            self.cache_claim = obj
            return obj
        have = self.children.get(ref_of(child)) or self.orphans.pop(ref_of(child), None)
        if have is None:
            obj["metadata"] |= {"uid": f"uid-{len(self.children)}", "generation": 1, "creationTimestamp": EARLIER}
        else:
            kept = {name: have["metadata"][name] for name in ("uid", "creationTimestamp")}
            changed = have.get("spec") != obj.get("spec")
            obj["metadata"] |= {**kept, "generation": have["metadata"]["generation"] + int(changed)}
            obj |= {"status": have["status"]} if "status" in have else {}
        self.children[ref_of(child)] = obj
        return obj

    # what is asked about it

    @property
    def status(self) -> ModelDeploymentStatus:
        """Return the status, parsed."""
        return ModelDeployment.parse(self.obj).status

    @property
    def revision(self) -> Revision:
        """Return the newest revision."""
        return revisions_of(self.children.values())[0]

    @property
    def deployment(self) -> dict[str, Any]:
        """Return the Deployment."""
        return self.children[Ref(DEPLOYMENT, NAMESPACE, NAME)]

    @property
    def live(self) -> LiveConfig:
        """Return what pods of the newest revision read in live.json."""
        return LiveConfig.model_validate_json(self._config_map(live_name(NAME, self.revision.name), LIVE_KEY))

    @property
    def config(self) -> str:
        """Return what pods of the newest revision read in config.json."""
        return self._config_map(self.revision.config_map_of(NAME), CONFIG_KEY)

    def _config_map(self, name: str, key: str) -> str:
        return str(self.children[Ref(CONFIGMAP, NAMESPACE, name)]["data"][key])

    def condition(self, type_: str) -> str:
        """Return `status/reason` of a condition, "-" when it is not there."""
        return next((f"{c.status}/{c.reason}" for c in self.status.conditions if c.type == type_), "-")

    def message(self, type_: str) -> str:
        """Return the message of a condition."""
        return next(c.message for c in self.status.conditions if c.type == type_)


def transfer(percent: int) -> Transfer:
    """Return a transfer of SOURCE from the hub that is so far."""
    done = SOURCE.total_bytes * percent // 100
    running = {"bytes_per_second": 1_000_000, "eta_seconds": 9} if percent < 100 else {}
    sources = (SourceBytes(type=SourceType.ORIGIN, name="https://hub", bytes=done),) if done else ()
    return Transfer(total_bytes=SOURCE.total_bytes, completed_bytes=done, sources=sources, **running)
