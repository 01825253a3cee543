"""Custom resource definitions that are served."""

import json
from collections.abc import Iterable
from typing import Any

from devcluster.control import ControlPlane
from tests.support.waiting import wait_until

Definition = dict[str, Any]


def wait_established(control_plane: ControlPlane, *which: str) -> None:
    """Wait until definitions are served; `kubectl wait` ends with an error at one whose status has no conditions yet.

    Clients find a kind by the list of its group, which follows a moment after its definition is established.
    """

    def served() -> bool:
        found = json.loads(control_plane.kubectl("get", *which, "--output=json"))
        definitions = found.get("items", [found])
        return all(map(_is_established, definitions)) and _wanted(definitions) <= _listed(control_plane, definitions)

    wait_until(served, f"definitions {which} are served")


def _is_established(definition: Definition) -> bool:
    conditions = definition.get("status", {}).get("conditions") or ()
    return ("Established", "True") in [(one["type"], one["status"]) for one in conditions]


def _wanted(definitions: Iterable[Definition]) -> set[tuple[str, str]]:
    """Return group/version and plural of each that is served."""
    specs = [one["spec"] for one in definitions]
    return {
        (f"{spec['group']}/{version['name']}", spec["names"]["plural"])
        for spec in specs
        for version in spec["versions"]
        if version["served"]
    }


def _listed(control_plane: ControlPlane, definitions: Iterable[Definition]) -> set[tuple[str, str]]:
    groups = {group for group, _ in _wanted(definitions)}
    lists = {group: json.loads(control_plane.kubectl("get", "--raw", f"/apis/{group}"))["resources"] for group in groups}
    return {(group, one["name"]) for group, resources in lists.items() for one in resources}
