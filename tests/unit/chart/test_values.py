"""values.yaml, its schema and the defaults of the templates: three places that say the same, and a comment for each value."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.charts import chart_values
from tests.support.helm import CHART

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES = (CHART / "values.yaml").read_text()
TEMPLATES = sorted(path for path in (CHART / "templates").rglob("*") if path.suffix in (".yaml", ".txt"))
PARENTS_ALONE = {("enabled",)}  # what a parent chart's condition reads


def properties(schema: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield each property with its path, references resolved."""
    for name, node in schema.get("properties", {}).items():
        target = SCHEMA["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
        resolved = {**target, **node}
        yield (*above, name), resolved
        yield from properties(resolved, (*above, name))


PROPERTIES = dict(properties(SCHEMA))
OPEN = {("global",)}  # other charts read it too


def test_the_templates_know_the_defaults_that_are_documented() -> None:
    """Values that an earlier chart stored lack what has come since; the templates fill it in."""
    text = (CHART / "templates/_defaults.tpl").read_text()
    (defaults,) = re.findall(r'define "pinion\.defaults" -}}\n(.*?)\n{{- end }}', text, re.DOTALL)
    known = {key: value for key, value in chart_values().items() if key != "global"}
    assert yaml.safe_load(defaults) == known, "write the value into values.yaml and templates/_defaults.tpl alike"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_fills_in_the_defaults_before_it_reads_a_value(template: Any) -> None:
    body = re.sub(r"\A(?:#.*\n)+", "", template.read_text())
    assert body.startswith('{{- include "pinion.setDefaults" . }}')


def test_the_schema_knows_every_value_and_no_other() -> None:
    described = {path for path in PROPERTIES if path not in PARENTS_ALONE}
    leaves = {path for path in described if not any(other[: len(path)] == path for other in described - {path})}
    missing = [path for path in leaves if not has(chart_values(), path) and path[1:2] != ("resources",)]
    assert not missing, "values.schema.json has what values.yaml has not"
    unknown = [path for path in known_paths(chart_values()) if path not in described and path[1:2] != ("resources",)]
    assert not unknown, "values.yaml has what values.schema.json has not"


def has(values: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def known_paths(values: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from known_paths(value, (*above, key))


@pytest.mark.parametrize(("path", "node"), PROPERTIES.items(), ids=[".".join(path) for path in PROPERTIES])
def test_null_is_a_value_of_each(path: tuple[str, ...], node: dict[str, Any]) -> None:
    assert None in node["enum"] if "enum" in node else "null" in node["type"], (
        f"{'.'.join(path)} refuses null, which means its default"
    )


@pytest.mark.parametrize(("path", "node"), PROPERTIES.items(), ids=[".".join(path) for path in PROPERTIES])
def test_a_map_refuses_what_it_does_not_know(path: tuple[str, ...], node: dict[str, Any]) -> None:
    if "properties" in node and path not in OPEN:
        assert node["additionalProperties"] is False


LINES = VALUES.splitlines()
KEYS = [number for number, line in enumerate(LINES) if re.match(r"\s*[A-Za-z]+:", line)]


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@pytest.mark.parametrize("number", KEYS, ids=[LINES[number].split(":")[0].strip() for number in KEYS])
def test_a_value_is_explained_where_it_stands(number: int) -> None:
    """On its line, on the line above, or by the map that it is in; a map whose values are all explained needs no more."""
    line = LINES[number]
    above = next((LINES[n] for n in range(number - 1, -1, -1) if LINES[n].strip() and indent(LINES[n]) < indent(line)), "")
    is_map = line.rstrip().endswith(":")
    assert is_map or "#" in line or LINES[number - 1].lstrip().startswith("#") or "#" in above, f"{line!r} explains nothing"
