"""Quantities, and what may be said in them: no number that no machine has, and none whose unit was forgotten."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import ApiModel, Schema, qualified_keys, rules

# Of the exponents that Kubernetes reads, those that a number can have.
QUANTITY_PATTERN = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]{1,2}))?$"
LEAST, MOST = "1Mi", "1Ei"
_OWN = "['cpu', 'memory', 'ephemeral-storage']"
_NO_BYTES = "!(name in ['memory', 'ephemeral-storage']) || QUANTITY.compareTo(quantity('0')) <= 0"
_WHOLE = "(name.contains('/') || name.startsWith('hugepages-'))"  # what is given out by the piece, and to one container each


def size_rules(field: str, example: str) -> Schema:
    """Return the schema part of a size in bytes that may be left empty."""
    quantity = QUANTITY_PATTERN.replace("\\", "\\\\")
    rule = (
        f"self == '' || self.matches('{quantity}') && isQuantity(self) && quantity(self).compareTo(quantity('{LEAST}')) >= 0 "
        f"&& quantity(self).compareTo(quantity('{MOST}')) <= 0"
    )
    return rules((rule, f"{field} must be a Kubernetes quantity from {LEAST} to {MOST}, for example {example}"))


ResourceList = Annotated[
    dict[Annotated[str, Field(max_length=317)], int | str],
    Field(
        max_length=16,
        json_schema_extra=qualified_keys("resources")
        | {
            "additionalProperties": {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "x-kubernetes-int-or-string": True,
                "pattern": QUANTITY_PATTERN,
                "maxLength": 32,
            }
        },
    ),
]


def _each(rule: str) -> str:
    """Return a rule over each resource; in it `name` is the resource's and QUANTITY its value, of requests and of limits."""
    sides = (
        f"(!has(self.{side}) || self.{side}.all(name, {rule.replace('QUANTITY', f'quantity(string(self.{side}[name]))')}))"
        for side in ("requests", "limits")
    )
    return " && ".join(sides)


class Resources(ApiModel):
    """Compute resources of a container."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || "
                "quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
                "requests must not be above limits",
            ),
            (
                f"!has(self.requests) || self.requests.all(name, !{_WHOLE} || has(self.limits) && name in self.limits "
                "&& quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) == 0)",
                "a device (nvidia.com/gpu and the like), and hugepages, is named in limits; a request for it must be the same",
            ),
            (
                "!has(self.limits) || self.limits.all(name, "
                "!name.contains('/') || quantity(string(self.limits[name])).isInteger())",
                "devices (nvidia.com/gpu and the like) are whole ones",
            ),
            (
                _each(
                    f"name in {_OWN} || name.startsWith('hugepages-') || name.contains('/') && !name.startsWith('requests.')"
                ),
                "a container has cpu, memory, ephemeral-storage, hugepages-SIZE, and devices by their full name, such as "
                "nvidia.com/gpu",
            ),
            (
                _each(f"QUANTITY.compareTo(quantity('0')) >= 0 && QUANTITY.compareTo(quantity('{MOST}')) <= 0"),
                f"quantities must be from 0 to {MOST}",
            ),
            (
                _each(f"{_NO_BYTES} || QUANTITY.compareTo(quantity('{LEAST}')) >= 0"),
                f"memory and ephemeral-storage must be at least {LEAST}: without a unit they are bytes, and m is a thousandth",
            ),
        )
    )

    requests: ResourceList = Field(default_factory=dict)
    """What the scheduler reserves: quantities by resource name."""
    limits: ResourceList = Field(default_factory=dict)
    """What the container may use at most: quantities by resource name."""
