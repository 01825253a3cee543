"""From a pydantic model to the structural OpenAPI schema of a CRD: references resolved, every list, map and string bounded."""

from collections.abc import Mapping
from typing import Any

from .base import Resource, Schema

# JSON schema keywords that mean the same in a structural schema.
_KEPT = (
    "type",
    "format",
    "description",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "anyOf",
)
_ORDER = {name: at for at, name in enumerate(("description", "type", "default", "enum"))}


class UnboundedFieldError(Exception):
    """A field of the models has no upper bound, which the API server could not cost."""


def structural_schema(model: type[Resource]) -> Schema:
    """Return `openAPIV3Schema` for a custom resource; UnboundedFieldError names a field without a maximum."""
    document = model.model_json_schema(by_alias=True)
    root = _Converter(document["$defs"]).convert(document, model.__name__, defaults=True)
    # metadata belongs to the API server; only rules may speak of its name.
    root["properties"]["metadata"] = {"type": "object"}
    root["properties"] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, **root["properties"]}
    root["required"] = ["spec"]
    status = _Converter(document["$defs"]).convert(document["properties"]["status"], f"{model.__name__}.status", defaults=False)
    # An object that nobody has looked at yet must not pass for one that is done.
    status["default"] = {"observedGeneration": -1}
    root["properties"]["status"] = _ordered(status)
    return root


class _Converter:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def convert(self, schema: Mapping[str, Any], path: str, *, defaults: bool) -> Schema:
        """Return the structural form of one node; `defaults` is False below `status` and inside list items."""
        node = self._resolved(schema)
        extensions = {name: value for name, value in node.items() if name.startswith("x-kubernetes-")}
        result = {name: node[name] for name in _KEPT if name in node} | extensions
        if "const" in node:
            result |= {"type": "string", "enum": [node["const"]]}
        if not defaults:
            result.pop("default", None)
        if isinstance(text := result.get("description"), str):
            result["description"] = " ".join(text.split())
        match result.get("type"):
            case "object" if "properties" in node:
                result["properties"] = {
                    name: self.convert(child, f"{path}.{name}", defaults=defaults) for name, child in node["properties"].items()
                    if name != "metadata"
                }  # fmt: skip
                if isinstance(result.get("default"), dict):
                    result["default"] = {}  # the fields' own defaults fill it
            case "object" if "x-kubernetes-preserve-unknown-fields" in node:
                pass  # whatever is in it: its bound is a rule of the decision, for the schema has none
            case "object":
                _require(node, "maxProperties", path)
                result["additionalProperties"] = node["additionalProperties"]
            case "array":
                _require(node, "maxItems", path)
                result["items"] = self.convert(node["items"], f"{path}[]", defaults=False)
            case "string" if "enum" not in result:
                _require(node, "maxLength", path)
        return _ordered(result)

    def _resolved(self, schema: Mapping[str, Any]) -> Schema:
        """Return the node with references and optionals replaced; what the field says wins over what its type says."""
        node = dict(schema)
        if "anyOf" in node:
            branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
            if len(branches) == 1:
                del node["anyOf"]
                if node.get("default", ...) is None:
                    del node["default"]
                node = {**self._resolved(branches[0]), **node}
        if "$ref" in node:
            target = self._resolved(self._definitions[node.pop("$ref").removeprefix("#/$defs/")])
            node = {**target, **node}
        return node


def _require(node: Mapping[str, Any], bound: str, path: str) -> None:
    # pydantic says maxLength for the length of a map too.
    if bound not in node:
        raise UnboundedFieldError(f"{path} has no {bound}")


def _ordered(schema: Schema) -> Schema:
    return dict(sorted(schema.items(), key=lambda item: (_ORDER.get(item[0], len(_ORDER)), item[0])))
