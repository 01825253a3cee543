"""What two installations have in common, and when a holder counts as gone."""

import pytest

from pinion_operator.cluster.rivals import Silence, overlap
from pinion_operator.cluster.timing import Timing


@pytest.mark.parametrize(
    ("serves", "namespaces", "common"),
    [
        ("*", (), ("",)),
        ("*", ("a", "b"), ("a", "b")),
        ("b,c", ("a", "b"), ("b",)),
        ("b,c", (), ("b", "c")),
        ("c", ("a", "b"), ()),
    ],
)
def test_which_namespaces_two_have_in_common(serves: str, namespaces: tuple[str, ...], common: tuple[str, ...]) -> None:
    assert overlap(serves, frozenset(namespaces)) == common


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
