"""The schema that the models give, and the files made from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from pinion_operator.api import crd
from pinion_operator.api.base import ApiModel, Resource
from pinion_operator.api.schema import UnboundedFieldError, structural_schema

SCHEMAS = {definition.model.__name__: structural_schema(definition.model) for definition in crd.DEFINITIONS}


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


NODES = [pair for name, schema in SCHEMAS.items() for pair in nodes(schema, name)]


def test_nothing_is_left_of_json_schema_that_crds_do_not_know() -> None:
    schema = {"description", "type", "default", "enum", "pattern", "format", "minimum", "maximum", "minLength", "maxLength"}
    schema |= {"minItems", "maxItems", "maxProperties", "required", "properties", "items", "additionalProperties"}
    ours = {"x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"}
    ours |= {"x-kubernetes-preserve-unknown-fields"}
    assert {name for _, node in NODES for name in node} <= schema | ours
    assert [path for path, node in NODES if "type" not in node] == []


def test_every_field_explains_itself() -> None:
    silent = {"apiVersion", "kind", "metadata"}
    missing = [path for path, node in NODES if "description" not in node and not path.endswith("[]")]
    assert [path for path in missing if path.rpartition(".")[2] not in silent] == []


def test_status_has_one_default_and_list_items_none() -> None:
    for name, schema in SCHEMAS.items():
        status = schema["properties"]["status"]
        assert status["default"] == {"observedGeneration": -1}
        assert [path for path, node in nodes(status, name) if "default" in node] == [name]
    assert [path for path, node in NODES if "[]" in path and "default" in node] == []


def test_parents_default_to_nothing_but_optional_unions_do_not() -> None:
    spec = SCHEMAS["ModelDeployment"]["properties"]["spec"]["properties"]
    assert spec["storage"]["default"] == {}
    assert spec["storage"]["properties"]["cache"]["default"] == {}
    assert "default" not in spec["model"]
    assert "default" not in spec["model"]["properties"]["expected"]


def test_every_list_says_how_it_merges() -> None:
    lists = [(path, node) for path, node in NODES if node["type"] == "array"]
    assert lists
    assert [path for path, node in lists if "x-kubernetes-list-type" not in node] == []
    for _, node in lists:
        for key in node.get("x-kubernetes-list-map-keys", []):
            assert key in node["items"]["required"]


def test_a_field_without_a_maximum_is_refused() -> None:
    class Spec(ApiModel):
        """No bound."""

        names: Annotated[tuple[Annotated[str, Field(max_length=3)], ...], Field(min_length=1)]
        """Names."""

    class Broken(Resource):
        """Has one."""

        spec: Spec
        """Spec."""
        status: Spec
        """Status."""

    with pytest.raises(UnboundedFieldError, match=r"Broken\.spec\.names has no maxItems"):
        structural_schema(Broken)


def test_write_then_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["check", "--root", str(tmp_path)]) == 1
    assert crd.main(["write", "--root", str(tmp_path)]) == 0
    assert crd.main(["check", "--root", str(tmp_path)]) == 0
    drifted = tmp_path / "crds" / "ipfsbackends.yaml"
    drifted.write_text(drifted.read_text().replace("50Gi", "60Gi"))
    capsys.readouterr()
    assert crd.main(["check", "--root", str(tmp_path)]) == 1
    assert "ipfsbackends.yaml is not what the models say" in capsys.readouterr().err


def test_the_committed_files_are_current() -> None:
    assert crd.main(["check", "--root", str(Path(__file__).parents[3])]) == 0


def test_chart_copies_are_the_same_crds(tmp_path: Path) -> None:
    for definition in crd.DEFINITIONS:
        wanted = crd.build_crd(definition)
        lines = crd.render_chart(wanted).splitlines()
        templated = [line.strip() for line in lines if "{{" in line]
        assert templated == [
            '{{- include "pinion.setDefaults" . }}',
            "{{- if .Values.crds.enabled }}",
            "{{- if .Values.crds.keep }}",
            "{{- end }}",
            "{{- end }}",
        ]
        kept = yaml.safe_load("\n".join(line for line in lines if "{{" not in line))
        assert kept["metadata"].pop("annotations") == {
            "argocd.argoproj.io/sync-wave": "-1",
            "helm.sh/resource-policy": "keep",
        }
        assert kept == wanted
        assert len(crd.render(wanted)) < 200_000
