"""A property may take as long as its examples do, however many are asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import EXAMPLES, property_seconds


@given(st.integers())
def test_a_property_is_bounded_by_the_number_of_its_examples(request: pytest.FixtureRequest, number: int) -> None:
    marker = request.node.get_closest_marker("timeout")
    assert marker is not None, number
    assert marker.args == (property_seconds(EXAMPLES),)


@pytest.mark.parametrize(("examples", "seconds"), [(0, 300), (60, 300), (20_000, 10_000)])
def test_more_examples_have_more_time_and_few_as_much_as_any_test(examples: int, seconds: float) -> None:
    assert property_seconds(examples) == seconds
