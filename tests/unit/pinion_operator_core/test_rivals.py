"""Which Leases belong to other installations, and when a holder counts as gone."""

from typing import Any

import pytest

from pinion_operator.cluster.rivals import Silence, lease_of
from pinion_operator.cluster.timing import Timing

ACCOUNT = {"kind": "ServiceAccount", "name": "other-operator", "namespace": "b"}


@pytest.mark.parametrize(
    ("annotations", "subjects", "lease"),
    [
        ({"pinion.dev/lease": "b/lease"}, [ACCOUNT], ("b", "lease")),
        ({}, [ACCOUNT], ("b", "other-operator")),  # a chart that did not say
        ({"pinion.dev/lease": ""}, [ACCOUNT], ("b", "other-operator")),
        ({"pinion.dev/lease": "lease"}, [{"kind": "User", "name": "u"}, ACCOUNT], ("b", "other-operator")),
        ({}, [{"kind": "Group", "name": "g"}], None),
        ({}, None, None),
    ],
)
def test_a_binding_leads_to_a_lease(annotations: dict[str, str], subjects: list[dict[str, Any]], lease: object) -> None:
    binding: dict[str, Any] = {"metadata": {"annotations": annotations}}
    assert lease_of(binding | ({"subjects": subjects} if subjects is not None else {})) == lease


def test_a_holder_is_there_until_its_record_has_stood_still_for_its_own_duration() -> None:
    clock = [100.0]
    silence = Silence(lambda: clock[0])
    spec = {"holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": "1"}
    assert silence.left(spec, 8) == 15, "seen for the first time: its clock says nothing"
    clock[0] += 14
    assert silence.left(spec, 8) == 1
    assert silence.left({**spec, "renewTime": "2"}, 8) == 15
    clock[0] += 15
    assert silence.left({**spec, "renewTime": "2"}, 8) == 0
    assert silence.left({**spec, "renewTime": "2", "holderIdentity": ""}, 8) == 0, "given back"
    assert Silence(lambda: 0.0).left({}, 8) == 0, "there is none"


def test_the_times_of_a_lease_follow_from_one() -> None:
    timing = Timing()
    assert timing.renewal == timing.duration / 3
    assert timing.renewal < timing.deadline < timing.duration
    assert timing.renewal + 2 * timing.attempt <= timing.deadline, "a renewal that hangs leaves time for another"
    assert timing.duration + timing.look < 10, "the takeover time that is promised"
