"""The way from a request to the served model: open only while it can really be asked."""

from pinion_contract.status import FailureReason, Phase

from ..pod.state import Pod, Serving, TextServing, VectorServing
from .errors import ApiError, Code

_RETRY_SECONDS = 5.0


def require_serving(pod: Pod) -> Serving:
    """Return what is served; raise the 503 that tells why nothing is."""
    if pod.serving is not None and pod.answers:
        return pod.serving
    lifecycle = pod.lifecycle
    failure = lifecycle.failure
    if lifecycle.phase is Phase.FAILED and failure is not None:
        message = f"The model failed in {failure.stage}: {failure.reason}. {failure.message}"
        raise ApiError(503, Code.MODEL_FAILED, message)
    if lifecycle.phase is Phase.DRAINING:
        raise ApiError(503, Code.SHUTTING_DOWN, "This pod is shutting down.", retry_after=_RETRY_SECONDS)
    if failure is not None and failure.reason is FailureReason.ENGINE_DIED:
        raise ApiError(503, Code.ENGINE_DIED, "The engine died; another one is being started.", retry_after=_RETRY_SECONDS)
    eta = pod.transfer.eta_seconds if lifecycle.phase is Phase.FETCHING else None
    message = f"The model is not ready yet: {lifecycle.phase}."
    raise ApiError(503, Code.MODEL_NOT_READY, message, retry_after=eta if eta is not None else _RETRY_SECONDS)


def require_vectors(pod: Pod) -> VectorServing:
    """Return what is served; raise the 503, or the 400 of a model that is served for something else."""
    serving = require_serving(pod)
    if isinstance(serving, VectorServing):
        return serving
    raise _other_task(pod, serving, "no vectors", "/v1/chat/completions and /v1/completions")


def require_generation(pod: Pod) -> TextServing:
    """Return what is served; raise the 503, or the 400 of a model that is served for something else."""
    serving = require_serving(pod)
    if isinstance(serving, TextServing):
        return serving
    raise _other_task(pod, serving, "no text", "/v1/embeddings")


def _other_task(pod: Pod, serving: Serving, lacks: str, routes: str) -> ApiError:
    served = f"{pod.model.name!r} is served for {serving.capabilities.task} and gives {lacks}"
    return ApiError(400, Code.UNSUPPORTED_TASK, f"{served}; ask {routes}.")
