"""Tests that need a program of the machine are left out where there is none, and a line says so; nothing is skipped."""

import pytest

TESTS = """
import pytest

pytestmark = pytest.mark.needs_program("python3")

def test_of_what_is_here(): pass

@pytest.mark.needs_program("no-such-program")
@pytest.mark.parametrize("number", [1, 2])
def test_of_what_is_not(number): assert False

@pytest.mark.needs_program("no-other", "no-such-program")
def test_of_two(): assert False
"""
ONE, THREE = (
    f"left out, for there is no {program} here: {tests}"
    for program, tests in (("no-other", "1 test"), ("no-such-program", "3 tests"))
)


CASES = {
    "all": ([], [ONE, THREE]),
    "in a worker": (["-p", "xdist", "-n1"], [ONE, THREE]),
    "chosen": (["-k", "here or two"], [ONE, THREE.replace("3 tests", "1 test")]),
    "none chosen": (["-k", "here"], []),
}


@pytest.mark.parametrize(("arguments", "lines"), CASES.values(), ids=CASES)
def test_left_out(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], lines: list[str]) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # a worker starts in a quarter of the time
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\naddopts = --strict-markers\nmarkers = needs_program(name)")
    done = pytester.runpytest_inprocess("-p", "tests.support.programs", *arguments)
    outcomes = done.parseoutcomes()
    assert (done.ret, outcomes.pop("passed"), outcomes.keys() - {"deselected"}) == (0, 1, set())
    assert [line for line in done.outlines if line.startswith("left out")] == lines
