"""What pods say of a revision, and in which order they go to the origin."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import ContentError
from pinion_ipfs.peers.client import Peer
from pinion_ipfs.peers.offers import Offer, complete
from pinion_ipfs.peers.revision import Revision, State
from pinion_ipfs.peers.turns import Queue

CID = Cid.of_block(RAW, b"root")
DIGEST = "a" * 64


def offer(instance: str, state: State, turn: int, received: int = 0) -> Offer:
    cid = CID if state is State.COMPLETE else None
    revision = Revision(DIGEST, state, turn, received, cid, cid)
    return Offer(Peer(f"http://{instance}:1", token=""), instance, revision)


@pytest.mark.parametrize("state", list(State))
def test_a_revision_comes_back_as_it_was_said(state: State) -> None:
    said = offer("pod-1", state, 3, 1234).revision
    assert Revision.decode(said.encode("pod-1")) == ("pod-1", said)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "Gone"},
        {"turn": -1},
        {"turn": True},
        {"turn": 1 << 63},
        {"bytes": "7"},
        {"instance": 5},
        {"instance": "x" * 301},
        {"cid": "no cid"},
        {"cid": 5},
        {"state": "Complete", "cid": ""},
        {"digest": None},
    ],
)
def test_what_no_pod_of_ours_says(change: dict[str, object]) -> None:
    value = json.loads(offer("pod", State.COMPLETE, 1).revision.encode("pod")) | change
    with pytest.raises((ValueError, ContentError)):
        Revision.decode(json.dumps(value).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer_of_a_peer_is_understood_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError, ContentError):
        Revision.decode(data)


def test_an_answer_that_nests_for_ever_is_refused() -> None:
    with pytest.raises(ValueError, match="not a revision"):
        Revision.decode(b"[" * 16_000)


def test_the_smaller_turn_goes_first_and_at_the_same_turn_the_smaller_name() -> None:
    queue = Queue(2, "pod-b", 60)
    assert queue.is_our_turn([])
    assert queue.is_our_turn([offer("pod-a", State.WAITING, 3), offer("pod-c", State.WAITING, 2)])
    assert not queue.is_our_turn([offer("pod-a", State.WAITING, 2)])
    assert not queue.is_our_turn([offer("pod-z", State.FETCHING, 1)])


def test_who_is_still_choosing_is_waited_for() -> None:
    assert not Queue(1, "pod-a", 60).is_our_turn([offer("pod-b", State.WAITING, 0)])


def test_the_second_in_line_waits_twice_as_long_for_one_that_hangs() -> None:
    now = 0.0
    first, second = (Queue(turn, name, 60, clock=lambda: now) for turn, name in ((2, "pod-b"), (3, "pod-c")))
    hanging, next_one = offer("pod-a", State.FETCHING, 1, 77), offer("pod-b", State.WAITING, 2)
    assert not first.is_our_turn([hanging])
    assert not second.is_our_turn([hanging, next_one])
    now = 61.0
    assert first.is_our_turn([hanging])
    assert not second.is_our_turn([hanging, next_one])
    now = 121.0
    assert second.is_our_turn([hanging, next_one])
    # Whatever moves there starts the wait again.
    assert not second.is_our_turn([hanging, offer("pod-b", State.FETCHING, 2)])


def test_only_who_has_all_of_it_offers_anything() -> None:
    offers = [offer("a", State.WAITING, 1), offer("b", State.COMPLETE, 0), offer("c", State.FETCHING, 1)]
    assert [each.instance for each in complete(offers)] == ["b"]
