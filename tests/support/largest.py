"""The largest object that a schema takes: every list, map, string and number at its maximum."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pinion_operator.reconcile.model.spec_problems import LARGEST as PASSED

Schema = Mapping[str, Any]
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LIMIT = 262_144  # bytes of all annotations of an object, keys and values
CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
# What has a pattern or a rule is written here, by the end of its path: from the greatest length, and the character to use
# where any may stand.
WRITTEN: dict[str, Callable[[int, str], str]] = {
    "source.huggingFace.repo": lambda length, _: f"{'a' * (length // 2)}/{'b' * (length - length // 2 - 1)}",
    "source.huggingFace.revision": lambda length, _: "a" * length,
    "source.ipfs.cid": lambda _, __: CID,
    "source.ipfs.path": lambda length, character: character * length,
    "source.huggingFace.endpoint": lambda length, character: f"http://h/{character * (length - 9)}",
    "Ref.name": lambda length, _: "a" * length,
    "Ref.key": lambda length, _: "a" * length,
    "Secrets[].name": lambda length, _: "a" * length,
    "Refs[].name": lambda length, _: "a" * length,
    "laims[].name": lambda length, _: "a" * length,
    "claims[].request": lambda length, _: "a" * length,
    ".resourceClaimTemplateName": lambda length, _: "a" * length,
    "allowOrigins[]": lambda length, _: f"{'a' * max(1, length - 256)}://".ljust(length, "a") if length > 4 else "*",
    "model.name": lambda length, _: "a" * length,
    "expected.cid": lambda _, __: CID,
    "cache.sizeLimit": lambda length, _: "1Gi".rjust(length, "0"),
    ".claimName": lambda length, _: "a" * length,
    "cache.pvc.size": lambda length, _: "1Gi".rjust(length, "0"),
    "storage.size": lambda length, _: "1Gi".rjust(length, "0"),
    ".image": lambda length, _: "a" * length,
    "external.apiURL": lambda length, character: f"http://h/{character * (length - 9)}",
    "external.gatewayURLs[]": lambda length, character: f"http://h/{character * (length - 9)}",
    "matchLabels{}": lambda length, _: "a" * length,
    "resources.requests{}": lambda length, _: "1".rjust(length, "0"),  # whole devices
    "resources.limits{}": lambda length, _: "1".rjust(length, "0"),  # whole devices
    "runtime.shmSize": lambda length, _: "1Gi".rjust(length, "0"),
    "envFrom[].prefix": lambda length, _: "A" * length,
    "labels{}": lambda length, _: "a" * length,
    "odeSelector{}": lambda length, _: "a" * length,
    "topologyKey": lambda length, _: f"{'p' * 253}/{'n' * (length - 254)}",
    "matchLabelKeys[]": lambda length, _: f"{'p' * 253}/{'n' * (length - 254)}",
    "ClassName": lambda length, _: "a" * length,
    "schedulerName": lambda length, _: "a" * length,
    "serviceAccountName": lambda length, _: "a" * length,
    "localhostProfile": lambda length, _: "a" * length,
    "seLinuxOptions.level": lambda length, _: "a" * length,
    "volumeMounts[].mountPath": lambda length, _: f"/{'a' * (length - 1)}",
    "volumeMounts[].subPath": lambda length, _: "a" * length,
}
# Objects, lists and maps whose parts share a bound, or that the operator bounds because the schema cannot: each as large as it
# may be, for a character to use where any may stand.
_ITEM = {"key": "a" * 253, "path": "a" * 253, "mode": 511}
_FULL_VOLUME = {"configMap": {"name": "a" * 253, "defaultMode": 511, "optional": False}}
_SECRET_KEY = {"secretKeyRef": {"name": "a" * 253, "key": "a" * 253, "optional": False}}
WHOLE: dict[str, Callable[[str], Any]] = {
    "pod.annotations": lambda character: {_key(number): character * 2048 if number == 0 else "" for number in range(16)},
    "affinity": lambda _: {"a": "a" * (PASSED - len('{"a":""}'))},
    "tolerations": lambda _: [{"a": "a" * (PASSED - len('[{"a":""}]'))}],
    "runtime.args": lambda _: ["--drain-seconds=1234.123", "--live-seconds=12.123"],
    "runtime.env": lambda character: [
        *({"name": f"{'A' * 125}{number:03}", "valueFrom": _SECRET_KEY} for number in range(31)),
        {"name": "A" * 128, "value": character * 3072},
    ],
    "pod.volumes": lambda _: [
        *({"name": f"{'a' * 60}{number:03}", **_FULL_VOLUME} for number in range(15)),
        {
            "name": "a" * 63,
            "projected": {
                "defaultMode": 511,
                "sources": [{"secret": {"name": "a" * 253, "optional": False, "items": [_ITEM]}}] * 16,
            },
        },
    ],
    "capabilities": lambda _: {"add": [], "drop": ["ALL"]},
}
LEFT_OUT = (".resourceClaimName",)  # the shorter of two of which one is given
_TOGETHER = re.compile(r"self\.map\(text, size\(text\)\)\.sum\(\) <= (\d+)")


class UnknownRuleError(Exception):
    """A string has a pattern or a rule, and nothing says here how the longest that follows it looks."""


def largest(schema: Schema, path: str, character: str) -> Any:
    """Return the largest value of a structural schema; UnknownRuleError names a string that WRITTEN should have."""
    for end, write in WHOLE.items():
        if path.endswith(end):
            return write(character)
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
        write = next((write for end, write in WRITTEN.items() if f"{path}[]".endswith(end)), lambda length, one: one * length)
        for after in range(count - 1, -1, -1):
            texts.append(write(min(items["maxLength"], left - after), character))
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
