"""Custom resource definitions that are served."""

import json

from devcluster.control import ControlPlane
from tests.support.waiting import wait_until


def wait_established(control_plane: ControlPlane, *which: str) -> None:
    """Wait until definitions are served; `kubectl wait` ends with an error at one whose status has no conditions yet."""

    def waiting() -> list[str]:
        found = json.loads(control_plane.kubectl("get", *which, "--output=json"))
        conditions = {
            one["metadata"]["name"]: [(c["type"], c["status"]) for c in one.get("status", {}).get("conditions") or ()]
            for one in found.get("items", [found])
        }
        return [name for name, said in conditions.items() if ("Established", "True") not in said]

    wait_until(lambda: not waiting(), f"definitions {which} are served", 50)
