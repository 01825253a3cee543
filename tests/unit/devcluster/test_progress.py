"""What people read about a model's way to Ready."""

from typing import Any

import pytest

from devcluster.asking import cosine
from devcluster.progress import condition, describe, is_true


def model(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "m", "generation": 1}, "status": status}


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({}, "waiting for the operator"),
        ({"phase": "Resolving", "message": "asking"}, "Resolving  asking"),
        (
            {"phase": "Fetching", "transfer": {"totalBytes": 2_000_000, "completedBytes": 500_000}},
            "Fetching  25 % of 2.0 MB",
        ),
        (
            {
                "phase": "Ready",
                "transfer": {"totalBytes": 1, "percent": 100},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
            "Ready",
        ),
    ],
)
def test_a_line_says_where_a_model_is(status: dict[str, Any], line: str) -> None:
    assert describe(model(**status)) == line


def test_a_condition_that_is_missing_is_not_true() -> None:
    assert condition(model(), "Ready") == {}
    assert not is_true({"metadata": {}}, "Ready")


def test_cosine_is_that_of_the_angle() -> None:
    assert cosine([1, 0], [3, 0]) == pytest.approx(1)
    assert cosine([1, 0], [0, 2]) == pytest.approx(0)
    assert cosine([1, 1], [-1, -1]) == pytest.approx(-1)
