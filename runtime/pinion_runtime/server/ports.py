"""What each port answers: 8080 inference, 8081 management."""

from pinion_contract.status import Phase

from ..pod.state import Pod
from .admission import Admission
from .app import App, Handler
from .auth import bearer_guard
from .cors import Cors
from .health import health_routes, ready_handler
from .models import model_routes
from .status import status_routes
from .tasks.chat.routes import chat_routes
from .tasks.completions.routes import completion_routes
from .tasks.embeddings.routes import embedding_routes
from .tasks.hub.routes import hub_routes
from .tasks.tokenize.routes import tokenize_routes

Routes = dict[str, dict[str, Handler]]
UNGUARDED = ("/health",)  # asked without a key


class ManagementObserver:
    """Knows the pod; counts nothing, because probes and scrapes are no traffic."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Take one answer."""

    def refused(self, error_type: str) -> None:
        """Take one refusal."""

    def failed(self, code: str, message: str) -> None:
        """Have the pod tell what failed."""
        self._pod.failed(code, message)

    def model_cid(self) -> str:
        """Return the CID of the files that the engine opened; "" before it is known."""
        return self._pod.model.opened_cid

    def draining(self) -> bool:
        """Tell whether the pod is ending."""
        return False


class InferenceObserver(ManagementObserver):
    """Counts what users ask, under the served name."""

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._pod.metrics.answered(endpoint, status, seconds)

    def refused(self, error_type: str) -> None:
        """Count one refusal."""
        self._pod.metrics.refused(error_type)

    def draining(self) -> bool:
        """Tell whether connections should not be kept."""
        return self._pod.lifecycle.phase is Phase.DRAINING


def inference_app(pod: Pod, admission: Admission) -> App:
    """Return the application of the inference port."""
    guard, cors = bearer_guard(pod.keys), Cors(lambda: pod.cors_origins)
    return App(inference_routes(pod, admission), InferenceObserver(pod), guard=guard, unguarded=UNGUARDED, cors=cors)


def management_app(pod: Pod) -> App:
    """Return the application of the management port."""
    return App(management_routes(pod), ManagementObserver(pod))


def inference_routes(pod: Pod, admission: Admission) -> Routes:
    """Return what users ask."""
    health: Routes = {"/health": {"GET": ready_handler(pod)}}
    vectors = embedding_routes(pod, admission) | hub_routes(pod, admission)
    text = completion_routes(pod, admission) | chat_routes(pod, admission) | tokenize_routes(pod, admission)
    return vectors | text | model_routes(pod) | health


def management_routes(pod: Pod) -> Routes:
    """Return what kubelets, Prometheus and the operator ask."""
    return health_routes(pod) | status_routes(pod)
