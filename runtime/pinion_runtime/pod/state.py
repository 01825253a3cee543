"""What this pod knows about itself: written by bring-up, read by status, health, metrics and the inference routes."""

import importlib.metadata
import logging
import platform
from dataclasses import dataclass
from datetime import UTC, datetime

from pinion_contract.config import Limits
from pinion_contract.status import (
    BackendUse,
    Finding,
    MemoryState,
    ModelFacts,
    PastFailure,
    Phase,
    PodStatus,
    QueueState,
    SourceType,
    Timings,
    Transfer,
    Warm,
)
from pinion_ipfs import findings

from ..engines.protocol import Capabilities
from ..model.chat_encoding import ChatEncoder
from ..model.files import ModelFiles
from ..model.sampling_defaults import SamplingDefaults
from ..model.template_runner import TemplateProbe, TemplateRunner
from ..model.tokenizing import Tokenizer
from ..scheduling.sequences import SequenceQueue
from ..scheduling.texts import RequestQueue
from .api_keys import KeyRing
from .lifecycle import Change, Lifecycle
from .metrics import Metrics

_log = logging.getLogger(__name__)
_MAX_FINDINGS = 16  # in status; the metric counts all of them
_PACKAGES = ("pinion-serving", "torch", "transformers", "tokenizers", "huggingface-hub", "uvicorn")


@dataclass(frozen=True)
class _Loaded:
    """What every model has."""

    tokenizer: Tokenizer
    capabilities: Capabilities
    files: ModelFiles


@dataclass(frozen=True)
class VectorServing(_Loaded):
    """A model that can be asked for vectors."""

    queue: RequestQueue


@dataclass(frozen=True)
class Chat:
    """The model's chat templates, and what is known of them."""

    templates: TemplateRunner
    probe: TemplateProbe
    encoder: ChatEncoder


@dataclass(frozen=True)
class TextServing(_Loaded):
    """A model that can be asked to continue a prompt."""

    queue: SequenceQueue
    sampling: SamplingDefaults
    chat: Chat


Serving = VectorServing | TextServing


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
        self.cors_origins: tuple[str, ...] = ()
        self.model = ModelFacts(name="")
        self.transfer = Transfer()
        self.backend = BackendUse()
        self.warm = Warm()
        self.timings = Timings()
        self.memory = MemoryState()
        self.engine_restarts = 0
        self.findings: tuple[Finding, ...] = ()  # the newest last
        self.serving: Serving | None = None
        self.last_failure: PastFailure | None = None
        self._versions = versions()
        lifecycle.on_change(self._changed)

    @property
    def answers(self) -> bool:
        """Tell whether inference is answered now: in Ready, and while draining from it."""
        return self.serving is not None and self.lifecycle.phase in (Phase.READY, Phase.DRAINING)

    def failed(self, reason: str, message: str, phase: Phase | None = None) -> None:
        """Keep what failed, until something else does."""
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self.last_failure = PastFailure(at=at, phase=phase or self.lifecycle.phase, reason=reason, message=message)

    def _changed(self, change: Change) -> None:
        if change.failure is not None and change.failure is not change.failure_before:
            self.failed(change.failure.reason.value, change.failure.message, change.failure.stage)

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
            last_failure=self.last_failure,
            config_digest=self.config_digest,
            revision=self.revision,
            limits=self.limits,
            expected_cid=self.expected_cid,
            served_names=self.served_names,
            cors_origins=self.cors_origins,
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
