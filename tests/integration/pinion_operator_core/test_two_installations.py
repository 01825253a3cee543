"""Two installations of the chart that serve the same namespaces: one leads and writes, the other stands by and says so."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devcluster.control import ControlPlane
from tests.support import administrator
from tests.support.audit import turns, writes
from tests.support.operator_process import OperatorProcess, Operators, grant
from tests.support.small import SMALL, Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
LEASE = {"PINION_LEASE_SECONDS": "24"}  # a standby looks every 4 s
LABEL = {"pinion.dev/lease": "operator"}
LEADS_ELSEWHERE = "pinion_operator_other_installation_leads"


@dataclass
class Installations:
    """The first is the test's own; the second has a namespace and a service account of its own."""

    small: Small
    second: Operators

    @property
    def plane(self) -> ControlPlane:
        return self.small.operators.control_plane

    def serve(self, first: list[str], second: list[str]) -> None:
        """Give each its rights, as the chart renders them for these namespaces; [] = the whole cluster."""
        grant(self.plane, self.small.operators.namespace, first)
        grant(self.plane, self.second.namespace, second)

    def start_first(self, namespaces: str) -> OperatorProcess:
        return self.small.start(**LEASE, PINION_NAMESPACES=namespaces)

    def start_second(self, namespaces: str) -> OperatorProcess:
        environment = {**LEASE, "PINION_NAMESPACES": namespaces, "SMALL_OUTSIDE": str(self.small.outside)}
        return self.second.start(SMALL, environment=environment)

    def check_one_at_a_time(self) -> None:
        order = turns(writes(self.plane.audit_log, self.small.operators.namespace))
        assert len(order) == len(set(order)), f"writers took turns more than once: {order}"


@pytest.fixture
def installations(small: Small, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Installations]:
    first = small.operators.namespace
    other = f"{first}-other"
    control_plane.create_namespace(other)
    folder = tmp_path / "second"
    folder.mkdir()
    second = Operators(control_plane, other, folder)
    names = (first, other)
    # As in their own namespaces: the small program looks at its Secret, which the chart lets nobody do.
    control_plane.kubectl("create", "clusterrole", f"{first}-small", "--verb=get", "--resource=secrets")
    accounts = [f"--serviceaccount={name}:{name}-operator" for name in names]
    control_plane.kubectl("create", "clusterrolebinding", f"{first}-small", f"--clusterrole={first}-small", *accounts)
    try:
        yield Installations(small, second)
    finally:
        second.close()
        small.operators.stop_all()
        administrator.delete_namespace(control_plane.kubeconfig, other)
        control_plane.kubectl("delete", "clusterrole,clusterrolebinding", f"{first}-small", "--ignore-not-found")


def wait_standing_by(operator: OperatorProcess, lease: str) -> None:
    """Wait until it says that another installation, with this Lease, leads, wherever it can say so."""
    wait_until(lambda: operator.metric(LEADS_ELSEWHERE, lease=lease) == 1, f"it stands by for {lease}")
    status, text = operator.http("/readyz")
    assert status == 200, "as ready as any standby"
    assert f"another installation leads: {lease} (held by " in text
    assert operator.http("/healthz")[0] == 200
    assert operator.metric("pinion_operator_leading") == 0
    said = [line["leader"] for line in operator.lines() if line["message"].startswith("another installation leads")]
    assert len(said) == 1, "once, not at each look"
    assert said[0].startswith(f"{lease} (held by ")


@pytest.mark.parametrize("scope", ["the whole cluster", "one namespace of both", "the whole cluster and one namespace"])
def test_the_second_stands_by_until_the_first_is_gone(installations: Installations, scope: str) -> None:
    own = installations.small.operators.namespace
    served = {
        "the whole cluster": ([], []),
        "one namespace of both": ([own], [installations.second.namespace, own]),
        "the whole cluster and one namespace": ([], [own]),
    }[scope]
    installations.serve(*served)
    small, names = installations.small, [",".join(one) for one in served]
    first = installations.start_first(names[0])
    first.wait_leading()
    second = installations.start_second(names[1])
    wait_standing_by(second, f"{own}/{own}-operator")
    small.apply("one", 1)
    small.wait_ready("one")
    small.apply("one", 2)
    small.wait_ready("one")
    assert second.proxy.writes(leases=True, events=True) == [], "not even the Lease of its own"
    assert first.stop() == 0
    second.wait_leading()
    assert second.metric(LEADS_ELSEWHERE) == 0
    small.apply("one", 3)
    wait_until(lambda: small.get("configmap", "one-small")["data"] == {"priority": "3"}, "the second works")
    again = installations.start_first(names[0])
    other = installations.second.namespace
    wait_standing_by(again, f"{other}/{other}-operator")
    installations.check_one_at_a_time()


def test_the_second_takes_over_from_a_first_that_was_killed_and_a_standby_of_the_first_waits_then(
    installations: Installations,
) -> None:
    own, other = installations.small.operators.namespace, installations.second.namespace
    installations.serve([own], [own])
    first = installations.start_first(own)
    first.wait_leading()
    second = installations.start_second(own)
    wait_standing_by(second, f"{own}/{own}-operator")
    first.signal(signal.SIGKILL)
    killed = time.monotonic()
    second.wait_leading()
    print(f"led {time.monotonic() - killed:.1f} s after the kill")
    standby = installations.start_first(own)
    wait_standing_by(standby, f"{other}/{other}-operator")
    installations.small.apply("one", 1)
    installations.small.wait_ready("one")
    installations.check_one_at_a_time()


def test_a_first_that_was_frozen_writes_nothing_after_the_second_leads(installations: Installations) -> None:
    own = installations.small.operators.namespace
    installations.serve([own], [own])
    first = installations.start_first(own)
    first.wait_leading()
    second = installations.start_second(own)
    wait_standing_by(second, f"{own}/{own}-operator")
    first.signal(signal.SIGSTOP)
    installations.small.apply("one", 1)
    second.wait_leading()
    installations.small.wait_ready("one")
    first.signal(signal.SIGCONT)
    assert first.wait() == 1
    installations.check_one_at_a_time()


def test_of_two_that_start_at_once_one_leads(installations: Installations) -> None:
    own = installations.small.operators.namespace
    installations.serve([own], [own])
    started = [installations.start_first(own), installations.start_second(own)]

    def leading() -> list[OperatorProcess]:
        return [one for one in started if one.metric("pinion_operator_leading")]

    (leader,) = wait_until(leading, "one leads")
    (other,) = [one for one in started if one is not leader]
    wait_until(lambda: other.metric(LEADS_ELSEWHERE) == 1, "the other stands by")
    installations.small.apply("one", 1)
    installations.small.wait_ready("one")
    assert leading() == [leader]
    installations.check_one_at_a_time()


def test_installations_that_have_no_namespace_in_common_both_lead(installations: Installations) -> None:
    own, other = installations.small.operators.namespace, installations.second.namespace
    installations.serve([own], [other])
    first, second = installations.start_first(own), installations.start_second(other)
    first.wait_leading()
    second.wait_leading()
    assert (first.metric(LEADS_ELSEWHERE), second.metric(LEADS_ELSEWHERE)) == (0, 0)


def test_an_operator_of_before_that_came_back_by_a_rollback_is_seen_all_the_same(installations: Installations) -> None:
    """It keeps the label that its successor has left, and does not say what it serves: that may be everything."""
    own, other = installations.small.operators.namespace, installations.second.namespace
    installations.serve([own], [own])
    old = OldHolder(installations.plane, other, f"{other}-operator", LABEL)
    old.renew()
    first = installations.start_first(own)
    until(lambda: first.metric(LEADS_ELSEWHERE, lease=f"{other}/{other}-operator") == 1, old.renew, "it stands by")
    looks = first.metric("pinion_operator_lease_renewals_total", result="standby")
    until(
        lambda: first.metric("pinion_operator_lease_renewals_total", result="standby") >= looks + 9,
        old.renew,
        "it goes on standing by for longer than the Lease lasts",
    )
    assert first.metric("pinion_operator_leading") == 0
    first.wait_leading()  # the old one is silent from now on


def test_a_rolling_update_waits_for_the_operator_of_the_chart_before(installations: Installations) -> None:
    """Both have the same Lease: the new operator asks for nothing else before the old one has given it back."""
    own = installations.small.operators.namespace
    installations.serve([own], [])
    old = OldHolder(installations.plane, own, f"{own}-operator")
    old.renew()
    new = installations.start_first(own)
    looked = "pinion_operator_lease_renewals_total"
    until(lambda: new.metric(looked, result="standby") >= 9, old.renew, "it looks for longer than the Lease lasts")
    assert new.proxy.writes(leases=True, events=True) == []
    assert new.http("/readyz")[0] == 200, "a rollout may go on"
    old.release()
    new.wait_leading()
    lease = json.loads(installations.small.kubectl("get", "lease", f"{own}-operator", "-o", "json"))["metadata"]
    assert (lease["labels"], lease["annotations"]) == (LABEL, {"pinion.dev/serves": own})


def test_a_lease_that_a_tenant_made_stops_nobody(installations: Installations) -> None:
    """Nor does one that bears the name of an account with rights somewhere else."""
    own, tenant = installations.small.operators.namespace, installations.second.namespace
    grant(installations.plane, own, [])
    for name in ("pinion-operator", f"{own}-operator", "default"):
        OldHolder(installations.plane, tenant, name, LABEL).renew(seconds=3600)
    first = installations.start_first("")
    first.wait_leading()
    assert first.metric(LEADS_ELSEWHERE) == 0


def test_without_the_right_to_look_for_others_nobody_leads_and_it_is_said(installations: Installations) -> None:
    own = installations.small.operators.namespace
    installations.small.operators.take_rights_away()
    first = installations.start_first(own)
    wait_until(lambda: 'cannot list resource "leases"' in first.http("/readyz")[1], "it says what it lacks")
    assert first.http("/readyz")[0] == 503
    assert first.metric("pinion_operator_leading") == 0
    installations.small.operators.give_rights_back()
    first.wait_leading()
    wait_until(lambda: first.http("/readyz") == (200, "ok: leading\n"), "it recovers by itself")


class OldHolder:
    """The Lease as an operator of before holds it."""

    def __init__(self, plane: ControlPlane, namespace: str, name: str, labels: dict[str, str] | None = None) -> None:
        self._plane, self._namespace, self._name, self._labels = plane, namespace, name, labels or {}

    def renew(self, holder: str = "old_1", seconds: int = 30) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": now, "leaseTransitions": 0}
        meta = {"namespace": self._namespace, "name": self._name, "labels": self._labels}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        self._plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(lease))

    def release(self) -> None:
        self.renew("", 1)


def until(true: Callable[[], object], meanwhile: Callable[[], None], what: str, timeout: float = 150) -> None:
    """Wait until the first is true, and do the second all the time."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        meanwhile()
