"""What /readyz and the gauges of /metrics tell of a process: whether it leads, what it is refused, what waits."""

from typing import NamedTuple

from .cluster.lease import Lease
from .cluster.rivals import Rivals
from .controller.missing_rights import MissingRights
from .controller.object_states import ObjectStates
from .controller.queue import WorkQueue
from .controller.watch_liveness import WatchLiveness
from .controller.watch_refusals import WatchRefusals
from .controller.watched_kinds import WATCHED
from .health import Readiness
from .metrics import Metrics
from .resources.kinds import IPFSBACKEND, MODELDEPLOYMENT
from .settings import Settings


class State(NamedTuple):
    """Everything that is asked when somebody looks from outside."""

    settings: Settings
    metrics: Metrics
    lease: Lease
    rivals: Rivals
    queue: WorkQueue
    liveness: WatchLiveness
    refusals: WatchRefusals
    rights: MissingRights
    objects: ObjectStates

    def readiness(self) -> Readiness:
        """Return whether this process does what it is there for. A standby does: a rollout must not wait for the Lease."""
        if not self.lease.looked.is_set():
            problem = f": {self.lease.problem}" if self.lease.problem else ""
            return Readiness(False, f"the API server has not answered yet{problem}")
        if not self.lease.leads:
            if self.rivals.leader:
                return Readiness(True, f"ok: standing by, for another installation leads: {self.rivals.leader}")
            return Readiness(True, "ok: standing by")
        if refused := self.refusals.lasting(self.settings.refused_seconds):
            return Readiness(False, "\n".join(refused))
        return Readiness(True, "ok: leading")

    def refresh(self) -> None:
        """Set the gauges."""
        metrics = self.metrics
        metrics.queue_depth.set(self.queue.depth)
        metrics.queue_delayed.set(self.queue.delayed)
        metrics.leading.set(self.lease.valid)
        metrics.other_leads.clear()
        if (leader := self.rivals.leader) and not self.lease.leads:
            metrics.other_leads.labels("/".join(leader.lease)).set(1)
        for plural, age in self.liveness.ages().items():
            metrics.watch_age.labels(plural).set(age)
        refused, forbidden = self.refusals.ages(), self.rights.counts()
        for kind in WATCHED:
            metrics.refused.labels(kind.name).set(refused.get(kind.name, 0.0))
        for kind in (MODELDEPLOYMENT, IPFSBACKEND):
            metrics.forbidden.labels(kind.name).set(forbidden[kind.name])
        leads = self.lease.valid  # what another operator does by now is its own to tell
        metrics.conditions.show(dict.fromkeys(self.objects.all(), 1.0) if leads else {})
        failures = self.queue.failures() if leads else {}
        metrics.failed_passes.show({(ref.kind.name, ref.namespace, ref.name): float(count) for ref, count in failures.items()})
