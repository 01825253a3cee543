"""Run every check and every test in stages; the last line counts all of them.

`python -m tests.run` is what `make test` calls; `python -m tests.run check unit` runs only the named stages.
"""

import argparse
import contextlib
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
    "page of settings": [PYTHON, "-m", "pinion_runtime.model.settings_page", "check"],
    "tables of the HTTP page": [PYTHON, "-m", "pinion_runtime.server.reference", "check"],
    "tables of the page of text generation": [PYTHON, "-m", "pinion_runtime.server.generation_reference", "check"],
    "tables of the commands' page": [PYTHON, "-m", "pinion_ipfs.commands.reference", "check"],
    "chart": [str(HELM.program("helm")), "lint", "--strict", "--kube-version", KUBE_VERSION, "charts/pinion"],
}

# In order; those of one group run at once.
STAGES: list[dict[str, list[str]]] = [
    {"unit": ["tests/unit", "-n", "2"]},
    {
        # Each of the two waits for half of its time, and they share nothing but the machine.
        "integration": ["tests/integration", "-m", "not cluster", "-n", "2", "--dist", "loadfile"],
        # There is one cluster per machine: its own tests first, which start and stop it, then those of what runs on it. After a
        # few failures it is the cluster that is broken: all that follow would wait to their limits, and say nothing new.
        "e2e": ["tests/integration/devcluster", "tests/e2e", "-m", "cluster", "-v", "--maxfail=5"],
    },
]

# Long rounds of faults: never a part of `make test`, which holds a short form of each.
CHAOS = {"chaos": ["tests/chaos", "-m", "chaos", "--timeout=7200"]}

_LONGEST_REASON = 300  # characters
_PROGRESS_SECONDS = 60.0


@dataclass
class Count:
    """How many tests passed, failed and were skipped; which failed and why, a line each."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add(self, report: Path) -> None:
        """Add the tests of one JUnit report."""
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            bad, skipped = int(suite.get("failures", 0)) + int(suite.get("errors", 0)), int(suite.get("skipped", 0))
            self.passed += int(suite.get("tests", 0)) - bad - skipped
            self.failed += bad
            self.skipped += skipped
            self.reasons += [s.get("message", "") for s in suite.iter("skipped")]
            for case in suite.iter("testcase"):
                for what in (*case.iter("failure"), *case.iter("error")):
                    why = (what.get("message") or "").partition("\n")[0][:_LONGEST_REASON]
                    self.failures.append(f"{what.tag}: {case.get('classname')}::{case.get('name')}: {why}")


@dataclass
class Step:
    """One command that runs, and where its output goes: here, or into a file that is printed when all have ended.

    Of that file the line it has come to is told every minute: a run that is ended from outside shows where it was.
    """

    name: str
    command: list[str]
    log: Path | None = None
    took: float = 0.0

    def start(self) -> None:
        """Start it."""
        print(f"\n=== {self.name}{': beside the first; its output follows at the end' if self.log else ''}", flush=True)
        self.started = self.told = time.monotonic()
        with self.log.open("wb") if self.log else contextlib.nullcontext() as output:
            self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT if output else None)

    def has_ended(self) -> bool:
        """Tell whether it has, and keep how long it took."""
        now = time.monotonic()
        if not self.took and self.process.poll() is not None:
            self.took = now - self.started
        if self.log and not self.took and now > self.told + _PROGRESS_SECONDS:
            self.told = now
            lines = self.log.read_text(errors="replace").splitlines() or ["no output yet"]
            print(f"\n... {self.name} after {now - self.started:.0f} s: {lines[-1]}", flush=True)
        return self.took > 0

    def report(self) -> bool:
        """Print what it wrote, and how and when it ended; return whether it succeeded."""
        if self.log:
            print(f"\n=== {self.name}\n{self.log.read_text(errors='replace')}", end="")
        code = self.process.returncode
        print(f"=== {self.name}: {'ok' if code == 0 else f'FAILED ({code})'} after {self.took:.0f} s", flush=True)
        return code == 0


def run_together(*steps: Step) -> bool:
    """Run steps at the same time; return whether all succeeded. An interrupt reaches them too: they clean up first."""
    for step in steps:
        step.start()
    try:
        while [step for step in steps if not step.has_ended()]:
            time.sleep(0.1)
    except KeyboardInterrupt:
        for step in steps:
            step.process.wait()
        raise
    return not [step for step in steps if not step.report()]


def stage_steps(stages: dict[str, list[str]], folder: Path) -> list[Step]:
    """Return the steps of stages that run at once; their reports go into `folder`, and all output but the first's."""
    steps: list[Step] = []
    for name, arguments in stages.items():
        command = [PYTHON, "-m", "pytest", *arguments, f"--junitxml={folder / name}.xml", "--durations=10"]
        steps.append(Step(name, command, folder / f"{name}.log" if steps else None))
    return steps


def main() -> int:
    """Run the stages, print the count, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = ["check", *(name for group in STAGES for name in group)]
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"{', '.join((*known, *CHAOS))}; default all but chaos")
    chosen = parser.parse_args().stages or known
    if unknown := set(chosen) - set(known) - set(CHAOS):
        parser.error(f"unknown stage: {', '.join(sorted(unknown))}; known: {', '.join((*known, *CHAOS))}")
    if set(chosen) & {"integration", "e2e", "chaos"} and choose_cluster().is_up():
        print("a cluster is up, and the tests would take it down: `make demo-down` first", file=sys.stderr)
        return 1
    good, count = True, Count()
    if "check" in chosen:
        for name, command in CHECKS.items():
            good &= run_together(Step(name, command))
    with tempfile.TemporaryDirectory() as folder:
        for group in (*STAGES, CHAOS):
            wanted = {name: arguments for name, arguments in group.items() if name in chosen}
            good &= run_together(*stage_steps(wanted, Path(folder)))
        for report in sorted(Path(folder).glob("*.xml")):
            count.add(report)
    for failure in count.failures:  # again: a log may be cut in its middle, where their own output stands
        print(failure)
    for reason in count.reasons:
        print(f"skipped, and nothing may be: {reason}")
    if set(chosen) - {"check"}:
        print(f"\n{count.passed} passed, {count.failed} failed, {count.skipped} skipped", flush=True)
    return 0 if good and not count.skipped else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
