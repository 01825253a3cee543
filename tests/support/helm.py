"""Both Helms that users have, on a control plane of the test's own: releases own cluster-wide definitions."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.gotools import HELM, HELM_4, ensure

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/pinion"
PREVIOUS_CHART = ROOT / "tests/data/previous-chart"  # as it was before: what users upgrade from
DEFINITIONS = ("modeldeployments.pinion.dev", "ipfsbackends.pinion.dev")


class HelmFailed(AssertionError):
    """Helm refused; the message is its own."""


@dataclass(frozen=True)
class Helm:
    """One Helm program, and the cluster it works on."""

    program: Path
    plane: ControlPlane
    home: Path

    def __call__(self, *arguments: str | Path) -> str:
        """Run it and return its output; HelmFailed with its complaint when it fails."""
        homes = {f"HELM_{name}_HOME": str(self.home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        command = [str(self.program), f"--kubeconfig={self.plane.kubeconfig}", *map(str, arguments)]
        done = subprocess.run(command, env=os.environ | homes, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise HelmFailed(done.stderr)
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return what kubectl gets, parsed."""
        return json.loads(self.plane.kubectl("get", *arguments, "-o", "json"))

    def definitions(self) -> set[str]:
        """Return the uids of our two definitions, as far as they are there."""
        found = self.get("crd")["items"]
        return {one["metadata"]["uid"] for one in found if one["metadata"]["name"] in DEFINITIONS}


@pytest.fixture(params=[HELM, HELM_4], ids=["Helm 3", "Helm 4"])
def helm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Helm]:
    """Give each Helm a new control plane."""
    ensure([request.param])
    with ControlPlane() as plane:
        plane.create_namespace("pinion-system")
        yield Helm(request.param.program("helm"), plane, tmp_path)
