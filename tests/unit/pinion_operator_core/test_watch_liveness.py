from pinion_operator.controller.watch_liveness import WatchLiveness
from pinion_operator.resources.kinds import DEPLOYMENT, POD


def make(*namespaces: str) -> tuple[WatchLiveness, list[float]]:
    clock = [0.0]
    liveness = WatchLiveness(300, lambda: clock[0])
    liveness.expect([POD, DEPLOYMENT], namespaces)
    return liveness, clock


def test_nothing_is_expected_of_a_standby() -> None:
    assert WatchLiveness(300).silent() == []
    assert WatchLiveness(300).ages() == {}


def test_the_age_counts_from_the_start_and_from_each_answer() -> None:
    liveness, clock = make("")
    clock[0] = 200
    assert liveness.ages() == {"pods": 200, "deployments": 200}
    liveness.saw_answer("/api/v1/pods")
    clock[0] = 301
    assert liveness.ages() == {"pods": 101, "deployments": 301}
    assert liveness.silent() == ["deployments"]
    liveness.saw_answer("/apis/apps/v1/deployments")
    assert liveness.silent() == []


def test_of_several_namespaces_the_oldest_counts() -> None:
    liveness, clock = make("a", "b")
    clock[0] = 301
    liveness.saw_answer("/api/v1/namespaces/a/pods")
    assert liveness.ages()["pods"] == 301
    liveness.saw_answer("/api/v1/namespaces/b/pods")
    assert liveness.ages()["pods"] == 0


def test_what_nobody_expects_is_not_remembered() -> None:
    liveness, _ = make("a")
    liveness.saw_answer("/api/v1/namespaces/elsewhere/pods")
    liveness.saw_answer("/")
    assert set(liveness.ages()) == {"pods", "deployments"}
