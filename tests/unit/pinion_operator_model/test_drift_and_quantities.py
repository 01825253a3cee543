"""Whether what we would apply is there already, and numbers as Kubernetes writes them."""

import re
from decimal import Decimal
from typing import Any

import pytest

from pinion_operator.api.quantities import QUANTITY_PATTERN
from pinion_operator.reconcile.drift import covers, differences, leaves
from pinion_operator.reconcile.quantity import parse_quantity

COVERED: dict[str, tuple[Any, Any, bool]] = {
    "the same": ({"a": 1}, {"a": 1}, True),
    "more than wanted": ({"a": 1, "b": {"c": 2}}, {"a": 1}, True),
    "a field is missing": ({}, {"a": 1}, False),
    "a field differs": ({"a": 2}, {"a": 1}, False),
    "there is nothing": (None, {"a": 1}, False),
    "an empty field is wanted": ({"emptyDir": {}}, {"emptyDir": {}}, True),
    "an empty field is missing": ({}, {"emptyDir": {}}, False),
    "a merged list, with defaults and others' items": (
        {"volumes": [{"name": "y"}, {"name": "x", "mode": 420}]},
        {"volumes": [{"name": "x"}]},
        True,
    ),
    "an item of a merged list is missing": ({"volumes": [{"name": "y"}]}, {"volumes": [{"name": "x"}]}, False),
    "an item of a merged list differs": ({"env": [{"name": "x", "value": "2"}]}, {"env": [{"name": "x", "value": "1"}]}, False),
    "ports of two protocols": (
        {"ports": [{"port": 1, "protocol": "UDP"}, {"port": 1, "protocol": "TCP", "nodePort": 30000}]},
        {"ports": [{"port": 1, "protocol": "TCP"}]},
        True,
    ),
    "a list that is one value, with defaults": ({"ingress": [{"a": 1, "b": 2}]}, {"ingress": [{"a": 1}]}, True),
    "a list that is one value, with another item": ({"ingress": [{"a": 1}, {"b": 1}]}, {"ingress": [{"a": 1}]}, False),
    "below a list that is one value no list is merged": (
        {"ingress": [{"ports": [{"port": 1}, {"port": 2}]}]},
        {"ingress": [{"ports": [{"port": 1}]}]},
        False,
    ),
    "words in another order": ({"command": ["b", "a"]}, {"command": ["a", "b"]}, False),
    "a word more": ({"command": ["sh", "a"]}, {"command": ["a"]}, False),
    "a label more in a selector": ({"selector": {"a": "1", "b": "2"}}, {"selector": {"a": "1"}}, False),
    "a label more elsewhere": ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": "1"}}, True),
    "a mapping where a list is wanted": ({"command": {}}, {"command": ["a"]}, False),
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


def test_each_difference_names_its_field_and_both_values() -> None:
    want = {
        "metadata": {"labels": {"pinion.dev/revision": "r1"}},
        "spec": {"containers": [{"name": "runtime", "image": "a:1", "command": ["x"]}], "replicas": 1, "selector": {"a": "1"}},
    }
    have = {
        "metadata": {"labels": {}},
        "spec": {"containers": [{"name": "side"}, {"name": "runtime", "image": "b:1", "command": ["x", "y"]}],
                 "replicas": 1, "selector": {"a": "1", "b": "2"}},
    }  # fmt: skip
    assert [(one.field, one.wanted, one.got) for one in differences(have, want)] == [
        ("metadata.labels[pinion.dev/revision]", "r1", None),
        ("spec.containers[runtime].image", "a:1", "b:1"),
        ("spec.containers[runtime].command", ["x"], ["x", "y"]),
        ("spec.selector.b", None, "2"),
    ]


def test_all_that_a_missing_item_had_has_a_path() -> None:
    container = {"name": "a", "ports": [{"containerPort": 1, "protocol": "TCP"}], "command": ["x"], "env": [], "limits": {}}
    assert set(leaves([container], ("containers",))) == {
        ("containers", "[a]", "name"),
        ("containers", "[a]", "ports", "[1/TCP]", "containerPort"),
        ("containers", "[a]", "ports", "[1/TCP]", "protocol"),
        ("containers", "[a]", "command", "[0]"),
        ("containers", "[a]", "env"),
        ("containers", "[a]", "limits"),
    }


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


@pytest.mark.parametrize("suffix", ["", *"numkMGTPE", *(f"{letter}i" for letter in "KMGTPE"), "e3", "E+18", "e-99", "E00"])
@pytest.mark.parametrize("number", ["0", "1", "1.", "1.5", ".5", "+2", "-3", "0000000000000000000000000007"])
def test_what_the_schema_takes_for_a_quantity_the_operator_can_read(number: str, suffix: str) -> None:
    assert re.search(QUANTITY_PATTERN, number + suffix)
    assert parse_quantity(number + suffix).is_finite()


@pytest.mark.parametrize("text", ["", "1e", "1e400", "5e3.5", "1ki", "1Gi ", "1 Gi", "8g", "1GB", ".", "e3", "--1", "1_0", "١"])
def test_what_neither_takes(text: str) -> None:
    assert not re.search(QUANTITY_PATTERN, text)
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
