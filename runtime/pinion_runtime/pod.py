"""What this pod knows about itself: written by bring-up, read by status, health, metrics and the inference routes."""

import importlib.metadata
import logging
import platform
from dataclasses import dataclass

from pinion_contract.config import Limits
from pinion_contract.status import (
    BackendUse,
    Finding,
    MemoryState,
    ModelFacts,
    Phase,
    PodStatus,
    QueueState,
    SourceType,
    Timings,
    Transfer,
    Warm,
)
from pinion_ipfs import findings

from .api_keys import KeyRing
from .engines.protocol import Capabilities
from .lifecycle import Lifecycle
from .metrics import Metrics
from .model_files import ModelFiles
from .queue import RequestQueue
from .tokenizing import Tokenizer

_log = logging.getLogger(__name__)
_MAX_FINDINGS = 16  # in status; the metric counts all of them
_PACKAGES = ("pinion-serving", "torch", "transformers", "tokenizers", "huggingface-hub", "uvicorn")


@dataclass(frozen=True)
class Serving:
    """A model that can be asked."""

    tokenizer: Tokenizer
    queue: RequestQueue
    capabilities: Capabilities
    files: ModelFiles


class Pod:
    """The state of one runtime process; its parts are frozen messages of the contract, replaced as a whole."""

    def __init__(self, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self.lifecycle = lifecycle
        self.metrics = metrics
        self.keys = KeyRing()
        self.config_digest = ""
        self.revision = ""
        self.limits = Limits()
        self.expected_cid = ""
        self.served_names: tuple[str, ...] = ()
        self.model = ModelFacts(name="")
        self.transfer = Transfer()
        self.backend = BackendUse()
        self.warm = Warm()
        self.timings = Timings()
        self.memory = MemoryState()
        self.engine_restarts = 0
        self.findings: tuple[Finding, ...] = ()  # the newest last
        self.serving: Serving | None = None
        self._versions = versions()

    @property
    def answers(self) -> bool:
        """Tell whether inference is answered now: in Ready, and while draining from it."""
        return self.serving is not None and self.lifecycle.phase in (Phase.READY, Phase.DRAINING)

    def found(self, finding: findings.Finding) -> None:
        """Keep and count wrong bytes that were found."""
        _log.error("wrong content from %s: %s", finding.source, finding.message)
        told = Finding(
            source_type=SourceType(finding.source_type),
            source=finding.source,
            path=finding.path,
            block=finding.block,
            message=finding.message,
        )
        if told in self.findings[-1:]:
            return  # two that met the same wrong block, one within the other
        self.findings = (*self.findings, told)[-_MAX_FINDINGS:]
        self.metrics.wrong_content.labels(self.metrics.model, finding.source_type).inc()

    def queue_state(self) -> QueueState:
        """Return the queue at this moment."""
        if self.serving is None:
            return QueueState()
        queue = self.serving.queue
        return QueueState(queued_requests=queue.queued_requests, running_requests=queue.running_requests)

    def status(self) -> PodStatus:
        """Return the answer of `GET /status`."""
        lifecycle = self.lifecycle
        return PodStatus(
            phase=lifecycle.phase,
            failure=lifecycle.failure,
            config_digest=self.config_digest,
            revision=self.revision,
            limits=self.limits,
            expected_cid=self.expected_cid,
            served_names=self.served_names,
            model=self.model,
            transfer=self.transfer,
            backend=self.backend,
            warm=self.warm,
            timings=self.timings.model_copy(update={"cold_start_seconds": round(lifecycle.seconds_to_ready, 3)}),
            queue=self.queue_state(),
            memory=self.memory,
            engine_restarts=self.engine_restarts,
            findings=self.findings,
            versions=self._versions,
        )


def versions() -> dict[str, str]:
    """Return the versions of what runs, of those that are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
