from pinion_operator.controller.pulse import Pulse
from pinion_operator.resources.kinds import DEPLOYMENT, POD


def make(*namespaces: str) -> tuple[Pulse, list[float]]:
    clock = [0.0]
    pulse = Pulse(300, lambda: clock[0])
    pulse.expect([POD, DEPLOYMENT], namespaces)
    return pulse, clock


def test_nothing_is_expected_of_a_standby() -> None:
    assert Pulse(300).silent() == []
    assert Pulse(300).ages() == {}


def test_the_age_counts_from_the_start_and_from_each_answer() -> None:
    pulse, clock = make("")
    clock[0] = 200
    assert pulse.ages() == {"pods": 200, "deployments": 200}
    pulse.beat("/api/v1/pods")
    clock[0] = 301
    assert pulse.ages() == {"pods": 101, "deployments": 301}
    assert pulse.silent() == ["deployments"]
    pulse.beat("/apis/apps/v1/deployments")
    assert pulse.silent() == []


def test_of_several_namespaces_the_oldest_counts() -> None:
    pulse, clock = make("a", "b")
    clock[0] = 301
    pulse.beat("/api/v1/namespaces/a/pods")
    assert pulse.ages()["pods"] == 301
    pulse.beat("/api/v1/namespaces/b/pods")
    assert pulse.ages()["pods"] == 0


def test_what_nobody_expects_is_not_remembered() -> None:
    pulse, _ = make("a")
    pulse.beat("/api/v1/namespaces/elsewhere/pods")
    pulse.beat("/")
    assert set(pulse.ages()) == {"pods", "deployments"}
