"""Run every check and every test in stages; the last line counts all of them.

`python -m tests.run` is what `make test` calls; `python -m tests.run check unit` runs only the named stages.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.gotools import HELM
from devcluster.providers import choose_cluster

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
VENV_BIN = Path(PYTHON).parent
KUBE_VERSION = "1.34"

CHECKS: dict[str, list[str]] = {
    "lint": [str(VENV_BIN / "ruff"), "check", "."],
    "format": [str(VENV_BIN / "ruff"), "format", "--check", "."],
    "types": [str(VENV_BIN / "mypy")],
    "borders": [str(VENV_BIN / "lint-imports"), "--no-cache"],
    "generated files": [PYTHON, "-m", "pinion_operator.api.crd", "check"],
    "chart": [str(HELM.program("helm")), "lint", "--strict", "--kube-version", KUBE_VERSION, "charts/pinion"],
}

STAGES: dict[str, list[str]] = {
    "unit": ["tests/unit", "-n", "2"],
    # Three workers on two cores: a quarter of the time passes in waiting.
    "integration": ["tests/integration", "-m", "not cluster", "-n", "3", "--dist", "loadfile"],
    # There is one cluster per machine: its own tests first, which start and stop it, then those of what runs on it.
    "e2e": ["tests/integration/devcluster", "tests/e2e", "-m", "cluster"],
}

# Long rounds of faults: never a part of `make test`, which holds a short form of each.
CHAOS: dict[str, list[str]] = {"chaos": ["tests/chaos", "-m", "chaos", "--timeout=7200"]}


@dataclass
class Count:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, report: Path) -> None:
        """Add the tests of one JUnit report."""
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            bad, skipped = int(suite.get("failures", 0)) + int(suite.get("errors", 0)), int(suite.get("skipped", 0))
            self.passed += int(suite.get("tests", 0)) - bad - skipped
            self.failed += bad
            self.skipped += skipped
            self.reasons += [s.get("message", "") for s in suite.iter("skipped")]


def run_step(name: str, command: list[str], environment: dict[str, str]) -> bool:
    """Run one command with its name and time; return whether it succeeded."""
    print(f"\n=== {name}", flush=True)
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    print(f"=== {name}: {'ok' if code == 0 else f'FAILED ({code})'} after {time.monotonic() - started:.0f} s", flush=True)
    return code == 0


def main() -> int:
    """Run the stages, print the count, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = ["check", *STAGES]
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"{', '.join((*known, *CHAOS))}; default all but chaos")
    chosen = parser.parse_args().stages or known
    if unknown := set(chosen) - set(known) - set(CHAOS):
        parser.error(f"unknown stage: {', '.join(sorted(unknown))}; known: {', '.join((*known, *CHAOS))}")
    if set(chosen) & {"integration", "e2e", "chaos"} and choose_cluster().is_up():
        print("a cluster is up, and the tests would take it down: `make demo-down` first", file=sys.stderr)
        return 1
    environment = dict(os.environ)
    good, count = True, Count()
    if "check" in chosen:
        for name, command in CHECKS.items():
            good &= run_step(name, command, environment)
    with tempfile.TemporaryDirectory() as reports:
        for name, arguments in (STAGES | CHAOS).items():
            if name not in chosen:
                continue
            report = Path(reports) / f"{name}.xml"
            good &= run_step(name, [PYTHON, "-m", "pytest", *arguments, f"--junitxml={report}", "--durations=10"], environment)
            if report.exists():
                count.add(report)
    for reason in count.reasons:
        print(f"skipped, and nothing may be: {reason}")
    if set(chosen) & set(STAGES | CHAOS):
        print(f"\n{count.passed} passed, {count.failed} failed, {count.skipped} skipped", flush=True)
    return 0 if good and not count.skipped else 1


if __name__ == "__main__":
    sys.exit(main())
