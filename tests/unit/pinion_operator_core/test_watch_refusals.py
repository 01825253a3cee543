"""What the API server refuses: only what lasts counts, by kind, namespace and verb, and one good answer ends it."""

from pinion_operator.controller.watch_refusals import WatchRefusals
from pinion_operator.resources.kinds import DEPLOYMENT, MODELDEPLOYMENT, POD


def make() -> tuple[WatchRefusals, list[float]]:
    clock = [0.0]
    return WatchRefusals(lambda: clock[0]), clock


def test_only_what_lasts_is_told_and_it_counts_from_the_first() -> None:
    refusals, clock = make()
    assert refusals.refused(DEPLOYMENT, "", "list", 403, "no")
    clock[0] = 59
    assert not refusals.refused(DEPLOYMENT, "", "list", 403, "no"), "no news"
    assert refusals.lasting(60) == []
    clock[0] = 60
    (told,) = refusals.lasting(60)
    assert told.startswith("the operator may not list deployments.apps (403)")
    assert refusals.ages() == {"Deployment": 60}
    refusals.granted(DEPLOYMENT, "", "list")
    assert refusals.lasting(0) == []
    assert refusals.ages() == {}


def test_a_watch_that_is_let_through_says_nothing_of_lists() -> None:
    refusals, _ = make()
    refusals.refused(POD, "ml", "list", 403, "no")
    refusals.refused(POD, "ml", "watch", 403, "no")
    refusals.granted(POD, "ml", "watch")
    assert len(refusals.lasting(0)) == 1
    assert "may not list pods in namespace ml" in refusals.lasting(0)[0]


def test_what_cannot_be_listed_hides_objects_of_its_namespace_alone() -> None:
    refusals, clock = make()
    refusals.refused(POD, "ml", "watch", 403, "no")
    assert refusals.hides("ml", 0) == "", "the lists go on"
    refusals.refused(POD, "ml", "list", 403, "no")
    assert "pods" in refusals.hides("ml", 0)
    assert refusals.hides("ml", 20) == ""
    assert refusals.hides("search", 0) == ""
    clock[0] = 20
    assert "pods" in refusals.hides("ml", 20)
    refusals.refused(DEPLOYMENT, "", "list", 403, "no")
    assert "deployments.apps" in refusals.hides("search", 0), "a list of all namespaces"


def test_a_kind_that_is_not_there_is_called_that() -> None:
    refusals, _ = make()
    refusals.refused(DEPLOYMENT, "", "list", 403, "no")
    assert not refusals.missing()
    refusals.refused(MODELDEPLOYMENT, "", "watch", 404, "page not found")
    assert refusals.missing()
    assert "modeldeployments.pinion.dev cannot be watched: the API server has no such kind (404)" in refusals.lasting(0)
