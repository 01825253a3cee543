"""The operator as a real process against a real API server, with exactly the rights that the chart gives it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.gotools import HELM, KUBERNETES, ensure
from tests.support.api_proxy import ApiProxy, Asked
from tests.support.definitions import wait_established
from tests.support.ports import free_port
from tests.support.waiting import wait_until

PROJECT = Path(__file__).parents[2]


@dataclass
class OperatorProcess:
    """One run of the program; `asked` of its proxy is what it wanted from the API."""

    proxy: ApiProxy
    log: Path
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    def http(self, path: str) -> tuple[int, str]:
        """Return (status, text) of its own HTTP server; (0, "") when that does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self, timeout: float = 90.0) -> str:
        """Return what /metrics says; asked again while it lives and does not answer, "" when it has ended."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None
            status, text = self.http("/metrics")
            if status == 200 or ended:
                return text
            assert time.monotonic() < deadline, f"/metrics does not answer within {timeout:g} s"
            time.sleep(0.2)

    def metric(self, name: str, /, **labels: str) -> float:
        """Return the sum of a metric's samples that carry these labels; 0 when it has ended."""
        total = 0.0
        for line in self.metrics().splitlines():
            if match := re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line):
                found = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or ""))
                total += float(match[2]) if labels.items() <= found.items() else 0.0
        return total

    def lines(self) -> list[dict[str, Any]]:
        """Return its log, a dict for each line that is written to its end."""
        whole, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def failed_passes(self, **labels: str) -> float:
        """Return how many passes failed for which a busy API server can't be the reason; below 0 where it failed others."""
        failed = self.metric("pinion_operator_reconcile_total", result="failed", **labels)
        return failed - sum(one.is_unasked_trouble and one.status != 429 for one in self.proxy.asked)

    def writes(self, *, decided: bool = False) -> list[Asked]:
        """Return its writes so far, but for the Lease and Events; with `decided` without those that a busy server failed."""
        return self.proxy.writes(decided=decided)

    def wait_leading(self, timeout: float = 90.0) -> None:
        """Wait until it leads and watches."""

        def watching() -> bool:
            assert self.process.poll() is None, f"the operator ended with {self.process.returncode}"
            return any(line["message"] == "watching" for line in self.lines())

        wait_until(watching, "the operator leads and watches", timeout)

    def wait_renewals_failed(self, count: int) -> None:
        """Wait until it has asked for the Lease in vain so often."""
        name = "pinion_operator_lease_renewals_total"
        wait_until(lambda: self.metric(name, result="failed") >= count, f"{count} renewals fail")

    def wait_quiet(self, seconds: float = 2.0, timeout: float = 120.0, *, events: bool = False) -> None:
        """Wait until it has not written for so long; with `events`, until it has posted no Event either."""
        self.wait_same(lambda: len(self.proxy.writes(events=events)), seconds, timeout, "it goes on writing")

    def wait_same(self, count: Callable[[], float], seconds: float, timeout: float, otherwise: str) -> float:
        """Wait until a count has been the same for so long, and return it.

        The time in which this process, which is the proxy too, or the API server stood still does not count: the operator
        waited for answers then.
        """
        seen, rested, looked = -1.0, 0.0, time.monotonic()
        deadline = looked + timeout
        while rested < seconds:
            assert time.monotonic() < deadline, f"{otherwise}: {self.writes()[-5:]}"
            now, at = count(), time.monotonic()
            if now != seen:
                seen, rested = now, 0.0
            elif not any(one.is_under_way for one in list(self.proxy.asked)):
                rested += min(at - looked, 0.2)
            looked = at
            time.sleep(0.05)
        return seen

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 90.0) -> int:
        """Return its exit status."""
        return self.process.wait(timeout)

    def stop(self) -> int:
        """SIGTERM and wait; return its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()


@dataclass
class Operators:
    """Starts operators that serve one namespace; each behind a proxy of its own."""

    control_plane: ControlPlane
    namespace: str
    folder: Path
    started: list[OperatorProcess] = field(default_factory=list)
    may_lack_rights: bool = False  # a test that takes rights away says so

    @property
    def account(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.namespace}-operator"

    def take_rights_away(self) -> None:
        """Delete what binds the operator to its rights, but for those on the Lease."""
        self.may_lack_rights = True
        self.control_plane.kubectl("-n", self.namespace, "delete", "rolebinding", f"{self.namespace}-operator")
        self.control_plane.kubectl("delete", "clusterrolebinding", "-l", f"app.kubernetes.io/instance={self.namespace}")

    def take_right_away(self, api_group: str) -> None:
        """Leave out of the Role what it grants of one API group."""
        self.may_lack_rights = True
        role = ("-n", self.namespace, "role", f"{self.namespace}-operator")
        rules = json.loads(self.control_plane.kubectl("get", *role, "--output=json"))["rules"]
        kept = [rule for rule in rules if api_group not in rule["apiGroups"]]
        assert len(kept) < len(rules), f"the Role grants nothing of {api_group}"
        self.control_plane.kubectl("patch", *role, "--type=merge", "-p", json.dumps({"rules": kept}))

    def take_resource_away(self, resource: str) -> None:
        """Leave out of the Role what it grants of one resource, as the chart of before a kind was used."""
        self.may_lack_rights = True
        role = ("-n", self.namespace, "role", f"{self.namespace}-operator")
        rules = json.loads(self.control_plane.kubectl("get", *role, "--output=json"))["rules"]
        kept = [{**rule, "resources": [one for one in rule["resources"] if one != resource]} for rule in rules]
        assert kept != rules, f"the Role grants nothing of {resource}"
        patch = json.dumps({"rules": [rule for rule in kept if rule["resources"]]})
        self.control_plane.kubectl("patch", *role, "--type=merge", "-p", patch)

    def give_rights_back(self) -> None:
        """Grant and bind all of it again, as installing the chart again does."""
        grant(self.control_plane, self.namespace, namespaces=[self.namespace])

    def start(
        self,
        program: tuple[str, ...] = ("-m", "pinion_operator"),
        *,
        environment: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        without: tuple[str, ...] = (),
    ) -> OperatorProcess:
        """Start one and return at once; `prefix` is of its command, to run it as somebody else, `without` some variables."""
        number = len(self.started)
        folder = self.folder / f"operator-{number}"
        folder.mkdir()
        proxy = ApiProxy(self.control_plane.kubeconfig, folder, user=self.account)
        proxy.__enter__()
        port, log = free_port(), folder / "log"
        # A busy machine must not bring the end of the Lease where nobody waits for it, nor let a pass fail.
        lease_seconds = (environment or {}).get("PINION_LEASE_SECONDS", "40")
        variables = {
            "KUBECONFIG": str(proxy.client_config),
            "PINION_RUNTIME_IMAGE": "pinion.test/runtime:1",
            "PINION_KUBO_IMAGE": "pinion.test/kubo:1",
            "PINION_CUSTOM_IMAGE_PREFIXES": "pinion.test",
            "PINION_HUB_ENDPOINT": "http://127.0.0.1:9",  # nobody is there
            "PINION_NAMESPACES": self.namespace,
            "PINION_LEASE_NAMESPACE": self.namespace,
            "PINION_LEASE_NAME": f"{self.namespace}-operator",
            "PINION_ALLOWED_NETWORKS": "127.0.0.0/8",  # everything here is on loopback
            "PINION_LEASE_SECONDS": lease_seconds,
            "PINION_REQUEST_TIMEOUT_SECONDS": f"{min(18.0, 0.79 * float(lease_seconds)):g}",  # four fifths are too much
            "PINION_ALLOW_LOCAL_ADDRESSES": "true",
            "PINION_HEALTH_HOST": "127.0.0.1",
            "PINION_HEALTH_PORT": str(port),
            **(environment or {}),
        }
        variables = {name: value for name, value in variables.items() if value}  # "" takes one of these away
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PINION_") and name not in without}
        command = [*prefix, sys.executable, *program]
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=PROJECT, env=kept | variables, stdout=out, stderr=out)
        operator = OperatorProcess(proxy, log, port, process)
        self.started.append(operator)
        return operator

    def stop_all(self) -> None:
        """Stop all."""
        for operator in self.started:
            if operator.process.poll() is None:
                operator.signal(signal.SIGCONT)
                operator.signal(signal.SIGTERM)
                try:
                    operator.wait(30)
                except subprocess.TimeoutExpired:
                    operator.process.kill()
                    operator.wait()

    def close(self) -> None:
        """Stop all; their logs are shown when the test has failed."""
        self.stop_all()
        for number, operator in enumerate(self.started):
            operator.proxy.__exit__()
            print(f"--- log of operator {number} ({operator.log}), ended with {operator.process.returncode}")
            print("\n".join(operator.log.read_text().splitlines()[-120:]))


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> None:
    """Have the custom resources served."""
    control_plane.kubectl("apply", "--server-side", "-f", str(PROJECT / "crds"))
    wait_established(control_plane, "-f", str(PROJECT / "crds"))


@pytest.fixture
def operators(control_plane: ControlPlane, namespace: str, crds: None, tmp_path: Path) -> Iterator[Operators]:
    """Start operators for the test's namespace, confined to it, with the Role of the chart."""
    grant(control_plane, namespace, namespaces=[namespace])
    running = Operators(control_plane, namespace, tmp_path)
    try:
        yield running
    finally:
        running.close()
    lacking = {one.lacking for operator in running.started for one in operator.proxy.asked if one.lacking}
    assert running.may_lack_rights or not lacking, f"rights that the chart does not give were used: {lacking}"


@pytest.fixture
def operator(operators: Operators, hub_endpoint: str) -> OperatorProcess:
    """Start the real operator and wait until it leads; a test module may override `hub_endpoint`."""
    running = operators.start(environment={"PINION_HUB_ENDPOINT": hub_endpoint})
    running.wait_leading()
    return running


@pytest.fixture
def hub_endpoint() -> str:
    """Name the hub that the operator asks: nobody, unless a test module overrides this fixture."""
    return "http://127.0.0.1:9"


def grant(control_plane: ControlPlane, namespace: str, namespaces: list[str]) -> None:
    """Give the account of a release its rights, as the chart renders them; no namespaces = the whole cluster."""
    ensure([HELM])
    values = json.dumps({"operator": {"namespaces": namespaces}})
    chart = [
        str(PROJECT / "charts" / "pinion"),
        "--namespace",
        namespace,
        "--show-only",
        "templates/rbac.yaml",
        "--kube-version",
        KUBERNETES,  # without a cluster to ask, helm assumes a very old one
        "--values",
        "-",
    ]
    rendered = subprocess.run(
        [str(HELM.program("helm")), "template", namespace, *chart], input=values, capture_output=True, text=True, timeout=60
    )
    assert rendered.returncode == 0, rendered.stderr
    control_plane.kubectl("apply", "-f", "-", input=rendered.stdout)
