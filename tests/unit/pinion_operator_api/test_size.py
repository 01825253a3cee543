"""Whatever the schema takes fits into the annotation in which client-side `kubectl apply` keeps it."""

import json
from typing import Any

import pytest

from tests.support.largest import LIMIT, UnknownRuleError, applied_bytes, largest
from tests.support.largest_objects import LARGEST

# Control characters and three others are six bytes each in JSON as Go writes it; nothing is longer.
LONGEST_CHARACTER = "<"


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_object_fits(name: str) -> None:
    obj = LARGEST[name](LONGEST_CHARACTER)
    size = applied_bytes(obj)
    parts = {part: applied_bytes({"metadata": {}, "spec": value}) for part, value in obj["spec"].items()}
    most = sorted(parts.items(), key=lambda item: -item[1])[:6]
    assert size <= LIMIT, f"{size - LIMIT} bytes too much; the largest parts: {most}; lower a bound"


def test_a_string_with_a_rule_that_nobody_has_described_is_an_error() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"new": {"type": "string", "maxLength": 9, "pattern": "^a+$"}}}
    with pytest.raises(UnknownRuleError, match=r"spec\.new has a rule"):
        largest(schema, "spec", "x")


def test_bytes_are_counted_as_go_writes_them() -> None:
    obj = {"kind": "A", "metadata": {"name": "m"}, "spec": {"a": "<é"}}
    written = '{"kind":"A","metadata":{"annotations":{},"name":"m"},"spec":{"a":"\\u003cé"}}\n'
    assert applied_bytes(obj) == len("kubectl.kubernetes.io/last-applied-configuration") + len(written.encode())
    assert json.loads(written)["spec"] == obj["spec"]
