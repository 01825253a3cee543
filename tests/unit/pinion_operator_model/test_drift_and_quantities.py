"""Whether what we would apply is there already, and numbers as Kubernetes writes them."""

from decimal import Decimal
from typing import Any

import pytest

from pinion_operator.reconcile.drift import covers
from pinion_operator.reconcile.quantity import parse_quantity

COVERED: dict[str, tuple[Any, Any, bool]] = {
    "the same": ({"a": 1}, {"a": 1}, True),
    "more than wanted": ({"a": 1, "b": {"c": 2}}, {"a": 1}, True),
    "a field is missing": ({}, {"a": 1}, False),
    "a field differs": ({"a": 2}, {"a": 1}, False),
    "there is nothing": (None, {"a": 1}, False),
    "an empty field is wanted": ({"emptyDir": {}}, {"emptyDir": {}}, True),
    "an empty field is missing": ({}, {"emptyDir": {}}, False),
    "list items with defaults": ([{"name": "x", "mode": 420}, {"name": "y"}], [{"name": "x"}], True),
    "a list item is missing": ([{"name": "y"}], [{"name": "x"}], False),
    "a tuple is wanted": (["a"], ("a",), True),
    "a quantity in other words": ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"}, True),
    "a quantity as a number": ({"cpu": "2"}, {"cpu": 2}, True),
    "another quantity": ({"cpu": "2"}, {"cpu": "2m"}, False),
    "a truth is no number": ({"on": 1}, {"on": "1"}, True),
    "a truth where a text is wanted": ({"on": True}, {"on": "1"}, False),
}


@pytest.mark.parametrize(("have", "want", "covered"), COVERED.values(), ids=COVERED.keys())
def test_covers(have: Any, want: Any, covered: bool) -> None:
    assert covers(have, want) is covered


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("1", 1), ("1.5", "1.5"), (".5", "0.5"), ("1500m", "1.5"), ("100n", "0.0000001"), ("3u", "0.000003"),
        ("2k", 2000), ("2Ki", 2048), ("10Mi", 10485760), ("1.5Gi", 1610612736), ("1E", 10**18), ("1Ei", 2**60), ("1e3", 1000),
        ("1E-2", "0.01"), ("-1", -1), ("+1", 1),
    ],
)  # fmt: skip
def test_quantities(text: str, value: Any) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "1gi", "--1", "1e", "0x10", "١"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
