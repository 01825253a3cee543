"""Any mixture of refusals while objects change all the time: in the end each is as it was last asked for, and made once."""

import random

import pytest

from tests.support.api_proxy import Fault
from tests.support.audit import writes
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.control_plane]


def test_random_refusals(small: Small, rounds: int, dice: random.Random) -> None:
    operator = small.leader(PINION_LEASE_SECONDS="60")
    wanted: dict[str, int] = {}
    for _ in range(rounds * 5):
        method, status = dice.choice(["GET", "POST", "PATCH"]), dice.choice([0, 403, 409, 429, 500, 503, 504])
        fault = Fault(
            lambda request, m=method: request.method == m and "/leases/" not in request.path,
            status,
            left=dice.randint(1, 3),
            retry_after="1" if status == 429 else "",
            lost=dice.random() < 0.2,
        )
        operator.proxy.faults.append(fault)
        name = f"o-{dice.randrange(5)}"
        wanted[name] = dice.randrange(14, 1000)
        small.apply(name, wanted[name])
        if dice.random() < 0.2:
            operator.proxy.end_watches()
        if dice.random() < 0.05:
            small.operators.may_lack_rights = True
            small.operators.control_plane.restart_api_server()
    operator.proxy.clear()
    for name, priority in wanted.items():
        small.wait_ready(name, timeout=180)
        wait_until(
            lambda n=name, p=priority: small.get("configmap", f"{n}-small")["data"] == {"priority": str(p)},
            f"{name} is as it was last asked for",
            120,
        )
    assert operator.process.poll() is None
    made = writes(small.operators.control_plane.audit_log, small.operators.namespace)
    secrets = [one for one in made if one.resource == "secrets" and one.verb == "create" and one.status == 201]
    assert len(secrets) == len(wanted)
