"""Which files an index of weights names; one that can't be read names none, and loading tells why."""

import json
from typing import Any

import pytest

from pinion_ipfs.hub.weight_index import files_in_index


def index(weight_map: Any) -> bytes:
    return json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}).encode()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (
            index({"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"}),
            {"one.safetensors", "two.safetensors"},
        ),
        (index({"a": "../one.safetensors"}), {"../one.safetensors"}),
        (index({"a": "x" * 255}), {"x" * 255}),
        (index({"a": "x" * 256, "b": "one"}), set()),
        (index({"a": "one\u0007", "b": "two"}), set()),
        (index({f"tensor {number}": f"{number}" for number in range(10_000)}), {f"{number}" for number in range(10_000)}),
        (index({f"tensor {number}": f"{number}" for number in range(10_001)}), set()),
        (index({}), set()),
        (index({"a": 1}), set()),
        (index({"a": None, "b": "one"}), set()),
        (index(["one"]), set()),
        (b'{"weight_map"', set()),
        (b"[]", set()),
        (b"{}", set()),
        (b"", set()),
        (b"\xff\xfe", set()),
        (b"[" * 100_000, set()),
    ],
    ids=range(17),
)
def test_it_names(data: bytes, named: set[str]) -> None:
    assert files_in_index(data) == named
