"""Render a chart with either Helm, and read its values."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from devcluster.gotools import HELM, GoTool, ensure
from tests.support.helm import CHART

Values = Mapping[str, Any]
WATCHED_KINDS = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")


def render_text(
    *settings: str,
    tool: GoTool = HELM,
    chart: Path = CHART,
    release: str = "r",
    namespace: str = "ns",
    values: Values | None = None,
    api: tuple[str, ...] = (),
) -> str:
    """Return what `helm template` prints; AssertionError with Helm's words when it refuses."""
    ensure([tool])
    command = [str(tool.program("helm")), "template", release, str(chart), "--namespace", namespace, "--kube-version", "1.34"]
    command += [word for setting in settings for word in ("--set", setting)]
    command += [word for version in api for word in ("--api-versions", version)]
    text = None if values is None else json.dumps(values)
    command += [] if text is None else ["--values", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(*settings: str, **options: Any) -> list[dict[str, Any]]:
    """Return the documents that `helm template` gives; options as of `render_text`."""
    # The loader in C: definitions are long, and the other one takes a second for them.
    return [document for document in yaml.load_all(render_text(*settings, **options), Loader=yaml.CSafeLoader) if document]


def one(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the only document of a kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def container(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the operator's container."""
    found: dict[str, Any] = one(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the operator's variables."""
    return {entry["name"]: entry.get("value") for entry in container(documents)["env"]}


def chart_values() -> dict[str, Any]:
    """Return the values of our chart."""
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


def paths(values: Values, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every map and value."""
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, Mapping):
            yield from paths(value, (*above, key))


def without(values: Values, path: tuple[str, ...]) -> dict[str, Any]:
    """Return the values without what lies at a path, if anything does."""
    head, *tail = path
    if tail and isinstance(values.get(head), Mapping):
        return {**values, head: without(values[head], tuple(tail))}
    return {key: value for key, value in values.items() if tail or key != head}


def with_value(values: Values, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return the values with something at a path."""
    head, *tail = path
    return {**values, head: with_value(values.get(head) or {}, tuple(tail), value) if tail else value}


def chart_with(values: Values, folder: Path) -> Path:
    """Return a copy of our chart with other values: what an upgrade with --reuse-values renders from."""
    chart = Path(shutil.copytree(CHART, folder / "chart"))
    (chart / "values.yaml").write_text(yaml.safe_dump(dict(values)))
    return chart
