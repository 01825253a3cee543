"""No revision answers the wishes yet: learn the commit, see that it fits and has where to go, then make a revision."""

from dataclasses import replace

from ...api.base import Condition
from ...api.modeldeployment import ModelDeployment
from ...api.modeldeployment_status import Phase
from ...conditions import ConditionType, Reason, Reconciling, condition, find
from ...resources.kinds import Object, ref_of
from ..plan import Plan
from ..refused_children import is_refused, refusal_of
from .annotations import restart_wish
from .artifact import known_artifact
from .backends import explain_wait
from .cache import is_for_one_pod, too_many_pods, too_small, unusable_cache
from .children import adoptable_children, wanted_deployment
from .inputs import revision_name
from .named_tree import explain_nobody, explain_source
from .observed import Observed
from .readiness import AT_REST, REFUSED, SOON, Readiness, stalled
from .rendering import render_revision
from .revision import Revision, as_current, wants_restart
from .scope import Scope
from .source import SourceFacts, Unresolved
from .status import early_status, to_write

ASKING_AGAIN = 30.0  # seconds: the answer itself wakes us; this is for one that gets lost


def decide_source(seen: Observed, scope: Scope) -> Plan:
    """Return what to do while the source of these wishes has to be learned, or has just been."""
    source = scope.source or seen.resolution
    if isinstance(source, Unresolved):
        return _unresolved(seen, scope, source)
    if not isinstance(source, SourceFacts):
        if _is_asked_again(scope.model):  # the last answer stands until there is another
            return Plan(after=ASKING_AGAIN)
        hub = scope.model.spec.model.source.hugging_face
        assert hub is not None, "what is named by CID is its own answer"
        message = f"asking for the commit of {hub.repo} at {hub.revision}, and its files"
        return early_plan(seen, scope, waiting(Reason.RESOLVING, message, "Resolving", ASKING_AGAIN))
    return decide_facts(seen, scope, source)


def decide_facts(seen: Observed, scope: Scope, source: SourceFacts) -> Plan:
    """Return what to do with a known source that no revision serves: see that it can be, then make the revision."""
    model, choice = scope.model, scope.choice
    resolved = _resolved(model, source)
    if message := too_many_pods(model, one_pod=is_for_one_pod(seen, model)):
        return early_plan(seen, scope, stalled(Reason.VOLUME_NOT_SHAREABLE, message, AT_REST), resolved)
    if message := unusable_cache(seen, model):
        state = Reconciling(Reason.PROGRESSING, message)
        return early_plan(
            seen, scope, Readiness(False, Reason.DEPENDENCY_NOT_READY, message, state, "Pending", AT_REST), resolved
        )
    if message := too_small(seen, model, source.total_bytes):
        pinned = _condition(model, ConditionType.ARTIFACT_PINNED, Reason.INSUFFICIENT_STORAGE, message)
        return early_plan(seen, scope, stalled(Reason.INSUFFICIENT_STORAGE, message, None), resolved, pinned)
    if message := explain_nobody(model, choice):
        state = Reconciling(Reason.PROGRESSING, message)
        readiness = Readiness(False, Reason.DEPENDENCY_NOT_READY, message, state, "Pending", AT_REST)
        pinned = _condition(model, ConditionType.ARTIFACT_PINNED, Reason.NO_BACKEND, message)
        return early_plan(seen, scope, readiness, resolved, pinned)
    if not choice.can_start:
        message = explain_wait(choice, seen.backends)
        state = Reconciling(Reason.PROGRESSING, message)
        readiness = Readiness(
            False, Reason.DEPENDENCY_NOT_READY, message, state, "Pending", choice.patience if choice.patience > 0 else AT_REST
        )
        pinned = _condition(model, ConditionType.ARTIFACT_PINNED, Reason.BACKEND_UNAVAILABLE, message)
        return early_plan(seen, scope, readiness, resolved, pinned)
    return _make_revision(seen, scope, source, resolved)


def _make_revision(seen: Observed, scope: Scope, source: SourceFacts, resolved: Condition) -> Plan:
    """The status first, the ControllerRevision after it; the children follow from what the API server then shows."""
    model, choice, revisions = scope.model, scope.choice, scope.revisions
    number = 1 + max((revision.number for revision in revisions), default=0)
    # A restart is another revision of the same wishes and bytes; its number makes it one that was never there.
    restart = f"{restart_wish(model)}/{number}" if wants_restart(model, revisions) else ""
    name = revision_name(model.spec, source.source_digest, namespace_backends=choice.from_namespace, restart=restart)
    plan = early_plan(seen, scope, waiting(Reason.PROGRESSING, f"revision {name} is being made", "Pending", SOON), resolved)
    known = next((revision for revision in revisions if revision.name == name), None)
    if known:  # the same bytes under another branch or commit, or bytes from before: only what led here is new
        hashes = scope.inputs.first_forms[0] if known.is_first_form else scope.inputs
        inputs = hashes.over(namespace_backends=choice.from_namespace)
        again = replace(as_current(known, model, revisions), inputs=inputs, asked=scope.inputs.source)
        record = again.to_object(seen.obj)
        changed = _is_changed_by_admission(seen, record)
        if known.serves_as(model) and (changed or not is_refused(seen.refused, record)):
            return _record(seen, scope, record, plan, resolved)
        # It can never be changed (made for another served name, or by an operator that spelled it its own way): another one
        # takes its place.
        name = revision_name(
            model.spec, source.source_digest, namespace_backends=choice.from_namespace, restart=f"again/{number}"
        )
    return _show(seen, scope, render_revision(seen, scope, source, name, number), plan, resolved)


def _show(seen: Observed, scope: Scope, revision: Revision, plan: Plan, resolved: Condition) -> Plan:
    """Let the API server judge the Deployment of a new revision before anything of it is made.

    What it has refused is told, and shown again now and then: a policy may have changed.
    """
    # Applied, not created: the API server compares `data` byte by byte, and only its own spelling is the same the next time.
    record = revision.to_object(seen.obj)
    deployment = wanted_deployment(seen, scope.model, revision, known_artifact(seen, scope, revision))
    if refusal := refusal_of(seen.refused, deployment):
        message = refusal.explain(ref_of(deployment))
        reason = Reason.INVALID_POD_OVERRIDE if refusal.reason == Reason.INVALID_SPEC else refusal.reason
        workload = _condition(scope.model, ConditionType.WORKLOAD_READY, reason, message)
        plan = early_plan(seen, scope, stalled(refusal.reason, message, REFUSED), resolved, workload)
        plan = replace(plan, apply=(record,) if refusal.again else ())
    else:
        plan = _record(seen, scope, record, plan, resolved)
    if not plan.apply:
        return plan
    return replace(plan, dry_run=(deployment,), adopt=adoptable_children(seen, scope, (deployment,)))


def _record(seen: Observed, scope: Scope, record: Object, plan: Plan, resolved: Condition) -> Plan:
    """Return the plan that applies the ControllerRevision, or says that the API server does not take it, or not as it is."""
    refusal = seen.refused.get(ref_of(record))
    if refusal is None:
        return replace(plan, apply=(record,))
    plan = early_plan(seen, scope, stalled(refusal.reason, refusal.explain(ref_of(record)), REFUSED), resolved)
    return replace(plan, apply=(record,) if refusal.again else ())


def _is_changed_by_admission(seen: Observed, record: Object) -> bool:
    """Return whether no other name would help: the next one would be changed as well."""
    refusal = seen.refused.get(ref_of(record))
    return refusal is not None and refusal.reason == Reason.ADMISSION_CONFLICT


def _unresolved(seen: Observed, scope: Scope, source: Unresolved) -> Plan:
    resolved = _condition(scope.model, ConditionType.SOURCE_RESOLVED, source.reason, source.message)
    if source.final:
        readiness = stalled(source.reason, source.message, source.again_in)
    else:
        state = Reconciling(Reason.PROGRESSING_WITH_RETRY, source.message)
        readiness = Readiness(None, Reason.PROGRESSING, source.message, state, "Resolving", source.again_in)
    return early_plan(seen, scope, readiness, resolved)


def early_plan(seen: Observed, scope: Scope, readiness: Readiness, *others: Condition) -> Plan:
    """Return the plan that only says what is so far: no child is touched."""
    status = early_status(seen, scope, readiness, others)
    return Plan(status=to_write(status, scope.model.status), after=readiness.after)


def waiting(reason: Reason, message: str, phase: Phase, after: float) -> Readiness:
    """Return the readiness of what is under way."""
    return Readiness(None, Reason.PROGRESSING, message, Reconciling(reason, message), phase, after)


def _resolved(model: ModelDeployment, source: SourceFacts) -> Condition:
    message = explain_source(model.spec.model.source, source)
    return condition(ConditionType.SOURCE_RESOLVED, True, Reason.RESOLVED, message, generation=model.metadata.generation)


def _is_asked_again(model: ModelDeployment) -> bool:
    """Return whether the status already tells of an answer about this generation, and that was no."""
    before = find(model.status.conditions, ConditionType.SOURCE_RESOLVED)
    return before is not None and before.status == "False" and before.observed_generation == model.metadata.generation


def _condition(model: ModelDeployment, type_: ConditionType, reason: Reason, message: str) -> Condition:
    return condition(type_, False, reason, message, generation=model.metadata.generation)
