"""The CustomResourceDefinitions as files: `python -m pinion_operator.api.crd write|check`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from .base import GROUP, VERSION, Resource, Schema
from .ipfsbackend import IpfsBackend
from .modeldeployment import ModelDeployment
from .schema import structural_schema

_HEADER = "# GENERATED from operator/pinion_operator/api by `make generate`: do not edit.\n"
_READY = '.status.conditions[?(@.type=="Ready")]'


class Column(NamedTuple):
    """A column of `kubectl get`; those with a priority above 0 appear with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


class Definition(NamedTuple):
    """A kind and what its CRD says beside the schema."""

    model: type[Resource]
    plural: str
    short: str
    columns: tuple[Column, ...]
    scale: bool = False


DEFINITIONS = (
    Definition(
        ModelDeployment,
        "modeldeployments",
        "mdep",
        (
            Column("Ready", f"{_READY}.status"),
            Column("Reason", f"{_READY}.reason"),
            Column("Model", ".status.source"),
            Column("Replicas", ".status.ready"),
            Column("Updated", ".status.updatedReplicas", "integer"),
            Column("Progress", ".status.transfer.percent", "integer"),
            Column("Backend", ".status.backend.active"),
            Column("URL", ".status.url"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("CID", ".status.model.cid", priority=1),
            Column("Commit", ".status.model.commit", priority=1),
            Column("Size", ".status.model.sizeBytes", "integer", priority=1),
            Column("Message", ".status.message", priority=1),
        ),
        scale=True,
    ),
    Definition(
        IpfsBackend,
        "ipfsbackends",
        "ipfsb",
        (
            Column("Type", ".spec.type"),
            Column("Ready", f"{_READY}.status"),
            Column("Reason", f"{_READY}.reason"),
            Column("Bound", ".status.boundModels", "integer"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("Version", ".status.version", priority=1),
            Column("Message", f"{_READY}.message", priority=1),
        ),
    ),
)


def build_crd(definition: Definition) -> Schema:
    """Return the CustomResourceDefinition of one kind."""
    kind = definition.model.__name__
    subresources: Schema = {"status": {}}
    if definition.scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    columns = [
        {"name": column.name, "type": column.type, "jsonPath": column.path}
        | ({"priority": column.priority} if column.priority else {})
        for column in definition.columns
    ]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": structural_schema(definition.model)},
    }
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": definition.plural,
        "singular": kind.lower(),
        "shortNames": [definition.short],
        "categories": ["pinion"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def render(crd: Schema) -> str:
    """Return the manifest for `kubectl apply -f crds/`."""
    return _HEADER + _dump(crd)


def render_chart(crd: Schema) -> str:
    """Return the chart's template: the same CRD, when wanted, kept on uninstall unless told otherwise."""
    body = _dump(crd)
    if "{{" in body:
        raise ValueError(f"{crd['metadata']['name']}: Helm would read the '{{{{' in it as a template")
    name = f"  name: {crd['metadata']['name']}\n"
    # Before the objects of the same sync that use its fields.
    annotations = '  annotations:\n    argocd.argoproj.io/sync-wave: "-1"\n'
    annotations += "    {{- if .Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n"
    defaults = '{{- include "pinion.setDefaults" . }}\n'
    return _HEADER + defaults + "{{- if .Values.crds.enabled }}\n" + body.replace(name, name + annotations, 1) + "{{- end }}\n"


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each generated file below the repository root with its content."""
    for definition in DEFINITIONS:
        crd = build_crd(definition)
        yield root / "crds" / f"{definition.plural}.yaml", render(crd)
        yield root / "charts" / "pinion" / "templates" / "crds" / f"{definition.plural}.yaml", render_chart(crd)


def _dump(value: Schema) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=140, allow_unicode=True)


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or name those that differ from what would be written; the exit status is 1 when some do."""
    parser = argparse.ArgumentParser(prog="python -m pinion_operator.api.crd", description=__doc__)
    parser.add_argument("action", choices=("write", "check"))
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository root (default: the working directory)")
    options = parser.parse_args(arguments)
    stale = [(path, text) for path, text in files(options.root) if not path.is_file() or path.read_text("utf-8") != text]
    for path, text in stale:
        if options.action == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"wrote {path}")
        else:
            print(f"{path} is not what the models say: run `make generate`", file=sys.stderr)
    return int(options.action == "check" and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
