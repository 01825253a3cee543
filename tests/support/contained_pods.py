"""What a pod runs, as process 1 of a PID namespace: the command of a new pod's template, with files and ports of its own."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pinion_contract.config import LiveConfig, RuntimeConfig, Warmup
from pinion_contract.names import CONFIG_PATH, LIVE_PATH
from tests.support.hub import Hub
from tests.support.model_world import World
from tests.support.ports import free_port
from tests.support.process_one import Ended, Started, Starter
from tests.support.serve import commit_of, make_config, make_live

AT_ONCE = 18.0  # seconds, from the signal until nothing is left: less than a hub or a drain is waited for
_DRAIN_SECONDS = 60  # so that a drain is not taken for an end at once
LONG_WARMUP = Warmup(inputs=("word " * 250,) * 2000)  # who begins it does not serve while a test looks


@dataclass
class ContainedPods:
    """Starts pods; they share a store."""

    starter: Starter
    hub: Hub
    folder: Path

    def config(self, repo: str, **changes: Any) -> RuntimeConfig:
        """Return the configuration of a pod that serves a repository of the mirror."""
        return make_config(self.hub, repo, commit_of(self.hub, repo), **changes)

    def command(self) -> list[str]:
        """Return the command of a new pod."""
        world = World()
        world.settle()
        (container,) = world.deployment["spec"]["template"]["spec"]["containers"]
        command: list[str] = container["command"]
        return command

    def init(self) -> list[str]:
        """Return what of the command is process 1, to start something else with it."""
        return self.command()[: self.command().index("python")]

    def start(
        self,
        config: RuntimeConfig,
        live: LiveConfig | None = None,
        *,
        with_init: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> Started:
        """Start the command as process 1, or what its init starts."""
        files = {CONFIG_PATH: self.folder / "config.json", LIVE_PATH: self.folder / "live.json"}
        files[CONFIG_PATH].write_text(config.model_dump_json(by_alias=True))
        files[LIVE_PATH].write_text((live or make_live()).model_dump_json(by_alias=True))
        command = [str(files.get(word, word)) for word in self.command()]
        ports = ("--port", "--management-port", "--content-port")
        where = [text for flag in ports for text in (flag, str(free_port()))]
        where += ["--host", "127.0.0.1", "--cache-dir", str(self.folder / "hf"), "--drain-seconds", str(_DRAIN_SECONDS)]
        return self.starter.process_one(*command[0 if with_init else len(self.init()) :], *where, environment=environment)


def check(pod: Started, ended: Ended, *codes: int) -> None:
    """Fail unless it ended at once, with one of these codes (0, when none is given), and without a complaint."""
    assert ended.seconds < AT_ONCE, f"it took {ended.seconds:.2f} s; the log:\n{pod.output()}"
    assert ended.code in (codes or (0,)), pod.output()
    assert "Traceback" not in pod.output()
    assert "Error" not in pod.output()


def delete_after(pods: ContainedPods, config: RuntimeConfig, seconds: float) -> None:
    """Start a pod, delete it so many seconds later, and check its end: by its init, its first handlers, or an empty drain."""
    pod = pods.start(config.model_copy(update={"warmup": LONG_WARMUP}))  # it does not serve, however late it is deleted
    time.sleep(seconds)  # the moment is what is tried
    check(pod, pod.end(), 143, 0)


@pytest.fixture
def pods(starter: Starter, hub: Hub, tmp_path: Path) -> ContainedPods:
    """Start pods as process 1; they end with the test."""
    return ContainedPods(starter, hub, tmp_path)
