"""Watches that break, in each of the ways they do: no change in the gap is lost, and somebody can see that there is a gap."""

import pytest
from aiohttp import web

from pinion_operator.controller.watched_kinds import IN_ORDER
from tests.support.api_proxy import Asked, Fault
from tests.support.operator_process import OperatorProcess
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
WATCH = {"PINION_WATCH_SECONDS": "3"}  # silent after 4 s, opened anew; not healthy after 15 s


def watches(operator: OperatorProcess, plural: str) -> list[Asked]:
    """Return the requests so far for a watch of this kind."""
    asked = list(operator.proxy.asked)
    return [one for one in asked if one.path.endswith(f"/{plural}") and "watch=true" in one.query]


def lists(operator: OperatorProcess, plural: str) -> list[Asked]:
    asked = operator.proxy.settled
    return [one for one in asked if one.method == "GET" and one.path.endswith(f"/{plural}") and "watch=true" not in one.query]


def passes_at_rest(operator: OperatorProcess, seconds: float = 2.0, timeout: float = 90.0) -> float:
    """Return the passes so far, once there have been no more for so long."""
    return operator.wait_same(
        lambda: operator.metric("pinion_operator_reconcile_total"), seconds, timeout, "it goes on making passes"
    )


class OnceEach:
    """The first request for the watch of each of these kinds."""

    def __init__(self, *plurals: str) -> None:
        self._plurals = plurals
        self.paths: set[str] = set()

    def __call__(self, request: web.Request) -> bool:
        wanted = request.query.get("watch") == "true" and request.path.rpartition("/")[2] in self._plurals
        if not wanted or request.path in self.paths:
            return False
        self.paths.add(request.path)
        return True


def test_a_half_dead_watch_is_noticed_and_what_it_hid_is_handled(small: Small) -> None:
    operator = small.leader(**WATCH)
    small.apply("stays", 1)
    small.apply("goes", 2)
    small.wait_ready("stays")
    small.wait_ready("goes")
    operator.wait_quiet(1)
    operator.proxy.swallow_watches()
    passes = passes_at_rest(operator)  # what came through before may be worked on still
    small.apply("stays", 3)
    small.apply("comes", 4)
    small.kubectl("delete", "ipfsbackend", "goes", "--wait=false")
    wait_until(lambda: operator.metric("pinion_operator_watch_age_seconds", kind="ipfsbackends") > 4, "the metric shows it")
    assert operator.metric("pinion_operator_reconcile_total") == passes, "nothing came through"
    wait_until(lambda: "ipfsbackends" in operator.http("/healthz")[1], "liveness shows it", 60)
    assert operator.http("/healthz")[0] == 503
    operator.proxy.hole = False  # the old connections stay dead
    small.wait_ready("comes")
    small.wait_ready("stays")
    wait_until(lambda: not small.get("ipfsbackend", "goes"), "the deletion is handled")
    wait_until(lambda: operator.http("/healthz")[0] == 200, "it is healthy again")
    assert small.get("configmap", "stays-small")["data"] == {"priority": "3"}
    assert operator.process.poll() is None


def test_watches_that_are_cut_again_and_again_lose_nothing(small: Small) -> None:
    operator = small.leader()
    for number in range(4):
        operator.proxy.end_watches()
        small.apply("cut", number)
        small.wait_ready("cut")
        wait_until(lambda n=number: small.get("configmap", "cut-small")["data"] == {"priority": str(n)}, "the newest")
    assert operator.process.poll() is None


def test_after_a_410_it_lists_once_and_finds_what_was_deleted_in_the_gap(small: Small) -> None:
    operator = small.leader()
    small.apply("parent", 1)
    small.apply("gone", 2)
    small.wait_ready("parent")
    small.wait_ready("gone")
    operator.wait_quiet(1)
    hidden = Fault(lambda request: request.query.get("watch") == "true", 503)
    operator.proxy.faults.append(hidden)
    before = len(lists(operator, "configmaps"))
    operator.proxy.end_watches()

    def away() -> set[str]:
        return {one.path for one in list(operator.proxy.asked) if "watch=true" in one.query and one.status == 503}

    wait_until(lambda: len(away()) >= len(IN_ORDER), "all watches are away")
    uid = small.get("ipfsbackend", "gone")["metadata"]["uid"]
    (small.outside / uid).touch()
    small.kubectl("delete", "configmap", "parent-small")
    small.kubectl("delete", "ipfsbackend", "gone", "--wait=false")
    told = OnceEach("configmaps", "ipfsbackends")
    operator.proxy.faults[:] = [Fault(told, status=200, body=GONE)]
    wait_until(lambda: small.get("configmap", "parent-small"), "the child is back")
    wait_until(lambda: not small.get("ipfsbackend", "gone"), "the deletion is carried out")
    assert not list(small.outside.iterdir())
    wait_until(lambda: len(told.paths) == 2, "both watches were told")
    operator.wait_quiet(2)
    # One list by the watch, and one or two of ours for what it cannot tell, after each of both.
    assert 1 <= len(lists(operator, "configmaps")) - before <= 4
    opened = len(watches(operator, "configmaps"))
    operator.wait_quiet(2)
    assert len(watches(operator, "configmaps")) - opened <= 1, "no storm"
    assert operator.process.poll() is None


def test_the_last_object_of_a_kind_that_went_in_a_gap_is_missed(small: Small) -> None:
    operator = small.leader()
    small.apply("only", 1)
    small.wait_ready("only")
    operator.wait_quiet(1)

    def is_of_configmaps(request: web.Request) -> bool:
        return request.path.endswith("/configmaps") and request.query.get("watch") == "true"

    hidden = Fault(is_of_configmaps, 503)
    operator.proxy.faults.append(hidden)
    operator.proxy.end_watches()
    wait_until(lambda: hidden.met, "the watch is away")
    small.kubectl("delete", "configmap", "only-small")
    operator.proxy.faults[:] = [Fault(is_of_configmaps, status=200, body=GONE, left=1)]
    # The list after it is empty: it brings no event.
    wait_until(lambda: small.get("configmap", "only-small"), "the child is back")


def test_rights_that_are_away_for_a_while_come_back_without_a_restart(small: Small) -> None:
    operator = small.leader()
    small.apply("one", 1)
    small.wait_ready("one")
    small.operators.take_rights_away()
    operator.proxy.end_watches()
    small.apply("one", 2)
    small.apply("two", 3)

    def refused() -> int:
        return sum(one.status == 403 and one.path.endswith("/ipfsbackends") for one in list(operator.proxy.asked))

    # Longer than kopf by itself would bear it: five attempts in seven seconds.
    wait_until(lambda: refused() >= 7, "refused", 60)
    wait_until(lambda: operator.metric("pinion_operator_watch_age_seconds", kind="ipfsbackends") > 5, "the age grows", 60)
    logged = [line["message"] for line in operator.lines() if "403" in line["message"] or "forbidden" in line["message"]]
    assert logged
    assert len(logged) <= 2 * len(IN_ORDER), "one line for each watch and step, not one for each attempt"
    small.operators.give_rights_back()
    small.wait_ready("two")
    small.wait_ready("one")
    assert small.get("configmap", "one-small")["data"] == {"priority": "2"}
    assert operator.process.poll() is None


GONE = b'{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old"}}\n'
