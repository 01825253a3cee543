"""An observer of an application that keeps what it is told."""

from dataclasses import dataclass, field


@dataclass
class Recorder:
    """Keeps answers as (endpoint, status), refusals by code, and failures as (code, message)."""

    cid: str = ""
    ending: bool = False
    answers: list[tuple[str, int]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Keep one answer."""
        assert seconds >= 0
        self.answers.append((endpoint, status))

    def refused(self, error_type: str) -> None:
        """Keep one refusal."""
        self.refusals.append(error_type)

    def failed(self, code: str, message: str) -> None:
        """Keep one failure."""
        self.failures.append((code, message))

    def model_cid(self) -> str:
        """Return what was set."""
        return self.cid

    def draining(self) -> bool:
        """Return what was set."""
        return self.ending
