"""What can go wrong with a model, from its files to its vectors: the errors that the front and the engines know."""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Every kind of failure an engine or the queue can answer with."""

    LOAD_FAILED = "load_failed"  # this folder can't be loaded; trying again does not help
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_DIED = "engine_died"  # the process is gone; a new one is being started
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    INVALID_INPUT = "invalid_input"
    NON_FINITE_RESULT = "non_finite_result"
    COMPUTE_FAILED = "compute_failed"  # the model's code raised


class EngineError(Exception):
    """An engine's failure; `code` says which kind, the message what happened to which input."""

    code: ClassVar[ErrorCode] = ErrorCode.COMPUTE_FAILED

    @property
    def message(self) -> str:
        """Return the text for people."""
        return str(self)


class EngineLoadError(EngineError):
    """The model can't be loaded: the message names the file, module or architecture and why."""

    code = ErrorCode.LOAD_FAILED


class EngineOutOfMemory(EngineLoadError):
    """Memory did not suffice, at load or at a batch."""

    code = ErrorCode.OUT_OF_MEMORY


class EngineDied(EngineError):
    """The engine process ended while it held the request, or there is none."""

    code = ErrorCode.ENGINE_DIED


class DeadlineExceeded(EngineError):
    """The deadline passed before the result was there."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Cancelled(EngineError):
    """The client has gone; nobody reads this."""

    code = ErrorCode.CANCELLED


class InvalidInput(EngineError):
    """An input the model can't take; `index` is its place in the request."""

    code = ErrorCode.INVALID_INPUT

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


class NonFiniteResult(EngineError):
    """The model computed NaN or infinity, which is never sent."""

    code = ErrorCode.NON_FINITE_RESULT


class ComputeFailed(EngineError):
    """The model's own code raised on this input."""

    code = ErrorCode.COMPUTE_FAILED
