"""The largest object that a schema takes: every list, map, string and number at its maximum."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LIMIT = 262_144  # bytes of all annotations of an object, keys and values
CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
# What has a pattern or a rule is written here, by the end of its path: from the greatest length, and the character to use
# where any may stand.
WRITTEN: dict[str, Callable[[int, str], str]] = {
    "source.huggingFace.repo": lambda length, _: f"{'a' * (length // 2)}/{'b' * (length - length // 2 - 1)}",
    "source.huggingFace.revision": lambda length, _: "a" * length,
    "source.huggingFace.endpoint": lambda length, character: f"http://h/{character * (length - 9)}",
    "Ref.name": lambda length, _: "a" * length,
    "Ref.key": lambda length, _: "a" * length,
    "Secrets[].name": lambda length, _: "a" * length,
    "Refs[].name": lambda length, _: "a" * length,
    "laims[].name": lambda length, _: "a" * length,
    "claims[].request": lambda length, _: "a" * length,
    ".resourceClaimTemplateName": lambda length, _: "a" * length,
    "model.name": lambda length, _: "a" * length,
    "expected.cid": lambda _, __: CID,
    "cache.sizeLimit": lambda length, _: "1" * (length - 2) + "Gi",
    ".claimName": lambda length, _: "a" * length,
    "cache.pvc.size": lambda length, _: "1" * (length - 2) + "Gi",
    "storage.size": lambda length, _: "1" * (length - 2) + "Gi",
    ".image": lambda length, character: character * length,  # anything but a space
    "external.apiURL": lambda length, character: f"http://h/{character * (length - 9)}",
    "external.gatewayURLs[]": lambda length, character: f"http://h/{character * (length - 9)}",
    "matchLabels{}": lambda length, _: "a" * length,
    "resources.requests{}": lambda length, _: "1".rjust(length, "0"),  # whole devices
    "resources.limits{}": lambda length, _: "1".rjust(length, "0"),  # whole devices
}
LEFT_OUT = (".resourceClaimName",)  # the shorter of two of which one is given
_TOGETHER = re.compile(r"self\.map\(text, size\(text\)\)\.sum\(\) <= (\d+)")


class UnknownRuleError(Exception):
    """A string has a pattern or a rule, and nothing says here how the longest that follows it looks."""


def largest(schema: Schema, path: str, character: str) -> Any:
    """Return the largest value of a structural schema; UnknownRuleError names a string that WRITTEN should have."""
    if "enum" in schema:
        return max(schema["enum"], key=len)
    match schema.get("type", "string"):
        case "object" if "properties" in schema:
            children = ((name, child, f"{path}.{name}") for name, child in schema["properties"].items())
            return {name: largest(child, at, character) for name, child, at in children if not at.endswith(LEFT_OUT)}
        case "object":
            values, count = schema["additionalProperties"], schema["maxProperties"]
            return {_key(number): largest(values, f"{path}{{}}", character) for number in range(count)}
        case "array":
            return _list(schema, path, character)
        case "string":
            return _string(schema, path, character)
        case "boolean":
            return False
        case "integer":
            return max(schema["minimum"], schema["maximum"], key=lambda number: len(str(number)))
    raise AssertionError(f"{path}: {schema}")


def _key(number: int) -> str:
    """Return a name with a prefix, as long as labels and resources may have it."""
    return f"{'p' * 253}/{'n' * 60}{number:03}"


def _list(schema: Schema, path: str, character: str) -> list[Any]:
    items, count = schema["items"], schema["maxItems"]
    rules = [rule["rule"] for rule in schema.get("x-kubernetes-validations", [])]
    together = [int(found[1]) for rule in rules if (found := _TOGETHER.fullmatch(rule))]
    if together:  # as many as may be, since each has its quotes and comma
        (left,) = together
        texts = []
        for after in range(count - 1, -1, -1):
            texts.append(character * min(items["maxLength"], left - after))
            left -= len(texts[-1])
        return texts
    made = [largest(items, f"{path}[]", character) for _ in range(count)]
    for key in schema.get("x-kubernetes-list-map-keys", []):  # which tell the items apart
        for number, item in enumerate(made):
            item[key] = f"{item[key][:-3]}{number:03}"
    return made


def _string(schema: Schema, path: str, character: str) -> str:
    length = schema["maxLength"]
    rules = schema.get("pattern") or schema.get("x-kubernetes-validations")
    for end, write in WRITTEN.items():
        if path.endswith(end):
            return write(length, character)
    if rules:
        raise UnknownRuleError(f"{path} has a rule: say in WRITTEN how the longest that follows it looks")
    return character * length


def applied_bytes(obj: Mapping[str, Any]) -> int:
    """Return what `kubectl apply` adds to an object's annotations: it writes JSON as Go does, with three characters escaped."""
    metadata = {"annotations": {}, **obj["metadata"]}
    text = json.dumps({**obj, "metadata": metadata}, ensure_ascii=False, separators=(",", ":"))
    for escaped in "<>&":
        text = text.replace(escaped, f"\\u{ord(escaped):04x}")
    return len(APPLIED) + len(text.encode()) + 1
