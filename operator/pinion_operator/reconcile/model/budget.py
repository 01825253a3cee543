"""The PodDisruptionBudget of a deployment: made where it helps, never beside another one, and never waited for."""

from dataclasses import dataclass

from ...api.modeldeployment import ModelDeployment
from ...resources.kinds import PODDISRUPTIONBUDGET, Object, Ref, ref_of
from ...resources.owner import is_namesakes, is_owned
from ...resources.poddisruptionbudget import build_pod_disruption_budget
from ..admission import Mutation
from ..label_selector import selects
from ..orphans import agreeing
from ..refused_children import is_refused
from .idle import wanted_replicas
from .observed import Observed
from .revision import Revision


@dataclass(frozen=True)
class Budget:
    """What to do about it, and what keeps the pods from having one."""

    apply: tuple[Object, ...] = ()
    delete: tuple[Ref, ...] = ()
    mutation: Mutation | None = None  # how it stays otherwise than we want it, because admission made it so
    missing: str = ""  # why there is none although one is wanted; "" = there is one, or none is wanted


def decide_budget(seen: Observed, model: ModelDeployment, revision: Revision) -> Budget:
    """Return what to do about the budget."""
    ref = Ref(PODDISRUPTIONBUDGET, model.metadata.namespace, model.metadata.name)
    ours = seen.children.get(ref)
    away = (ref,) if ours is not None and "deletionTimestamp" not in ours["metadata"] else ()
    if not model.spec.disruption.enabled or wanted_replicas(model) == 0:
        return Budget(delete=away)
    if seen.budgets is None:
        return Budget(missing=seen.budgets_problem)
    wanted = build_pod_disruption_budget(seen.obj, model.spec.disruption.max_unavailable)
    adopted = agreeing(seen.orphans, (wanted,))
    others = [
        one
        for one in seen.budgets
        if not is_owned(one, seen.obj) and not is_namesakes(one, seen.obj) and ref_of(one) not in adopted
    ]
    labels = revision.template["metadata"]["labels"]
    if any(selects(one["spec"].get("selector"), labels) for one in others):
        return Budget(delete=away)  # somebody else's covers them
    if any(ref_of(one) == ref for one in others):
        return Budget(missing=f"PodDisruptionBudget {ref.name} exists, is somebody else's, and covers other pods")
    if seen.admission.accepts(ours, wanted):
        return Budget(mutation=seen.admission.mutation(ours, wanted))
    if is_refused(seen.refused, wanted):
        return Budget(missing=f"the API server refuses it: {seen.refused[ref].message}")
    return Budget(apply=(wanted,))
