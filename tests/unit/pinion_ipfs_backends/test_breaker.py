import pytest

from pinion_ipfs.backends.breaker import BreakerSettings, Circuit, CircuitState
from pinion_ipfs.errors import BackendBusy, BackendUnavailable, BlockMismatch, ContentMissing, UnsupportedDag

DOWN = BackendUnavailable("down")
SETTINGS = BreakerSettings(error_threshold_percent=50, min_requests=4, open_seconds=30, window_seconds=60)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(SETTINGS, clock)


def opened(circuit: Circuit) -> None:
    for _ in range(4):
        circuit.record(DOWN)
    assert circuit.state is CircuitState.OPEN


def test_it_opens_at_the_percentage_once_there_were_enough_requests(circuit: Circuit) -> None:
    for error in (DOWN, None, DOWN):
        circuit.record(error)
    assert circuit.state is CircuitState.CLOSED  # two of three failed, but three are too few
    circuit.record(None)
    assert circuit.state is CircuitState.CLOSED  # a success opens nothing
    circuit.record(DOWN)
    assert circuit.state is CircuitState.OPEN
    assert not circuit.allow()


def test_below_the_percentage_it_stays_closed(circuit: Circuit) -> None:
    for _ in range(50):
        circuit.record(None)
        circuit.record(None)
        circuit.record(DOWN)
    assert circuit.state is CircuitState.CLOSED


def test_old_failures_are_forgotten(circuit: Circuit, clock: Clock) -> None:
    for _ in range(10):
        circuit.record(DOWN)
        clock.now += 25
        if circuit.state is not CircuitState.CLOSED:
            pytest.fail("at most three failures lie within a minute")


def test_one_trial_passes_and_closes_it(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 30
    assert circuit.state is CircuitState.HALF_OPEN
    assert [circuit.allow() for _ in range(3)] == [True, False, False]
    circuit.record(None)
    assert circuit.state is CircuitState.CLOSED
    circuit.record(DOWN)
    assert circuit.allow()  # what was before counts no more


def test_a_failed_trial_opens_it_again(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 31
    assert circuit.allow()
    circuit.record(DOWN)
    assert circuit.state is CircuitState.OPEN
    clock.now += 29
    assert not circuit.allow()
    clock.now += 2
    assert circuit.allow()


def test_a_trial_that_is_given_back_or_lost_lets_the_next_one_in(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 31
    assert circuit.allow()
    circuit.release()
    assert circuit.allow()
    assert not circuit.allow()
    clock.now += 30
    assert circuit.allow()


def test_late_outcomes_of_an_open_circuit(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 20
    circuit.record(DOWN)
    clock.now += 11
    assert circuit.state is CircuitState.HALF_OPEN  # a call from before does not make it longer
    opened(circuit := Circuit(SETTINGS, clock))
    circuit.record(None)
    assert circuit.state is CircuitState.CLOSED


def test_missing_content_is_an_answer_and_busy_is_none(circuit: Circuit) -> None:
    for _ in range(20):
        circuit.record(BackendBusy("importing"))
        circuit.record(UnsupportedDag("a caller's mistake"))
    for _ in range(4):
        circuit.record(ContentMissing("not here"))
    assert circuit.state is CircuitState.CLOSED
    for _ in range(4):
        circuit.record(BlockMismatch("a block", expected="a", actual="b"))
    assert circuit.state is CircuitState.OPEN


@pytest.mark.parametrize("percent", [1, 100])
def test_the_limits_of_the_settings(percent: int, clock: Clock) -> None:
    circuit = Circuit(BreakerSettings(percent, 1, 1), clock)
    circuit.record(None)
    circuit.record(DOWN)
    assert (circuit.state is CircuitState.OPEN) is (percent == 1)
