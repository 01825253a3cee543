"""The tables of docs/http-interface.md, from the code: `python -m pinion_runtime.server.reference write|check`."""

import sys
from collections.abc import Callable
from pathlib import Path

from pydantic.alias_generators import to_camel

from pinion_contract.config import Limits
from pinion_ipfs.program.generated_page import fill, write_or_check

from ..pod.lifecycle import Lifecycle
from ..pod.metrics import Metrics
from ..pod.state import Pod
from .admission import Admission, Pace
from .connection import MOST_PIPELINED, Bounds
from .errors import Code
from .markdown import code, table, value
from .ports import UNGUARDED, inference_routes, management_routes
from .tasks.fields import FIELDS, OPTIONS, Effect, Field
from .tasks.texts import MAX_INPUTS

PAGE = Path("docs/http-interface.md")

ROUTES = {
    "POST /v1/embeddings": "vectors, as OpenAI's API has them: `input`, `model`",
    "POST /": "vectors as the model makes them, or similarities, as the hub's clients ask for them: `inputs`",
    "POST /embed": "the same as text-embeddings-inference has it: vectors have length 1 unless `normalize` says otherwise",
    "POST /v1/chat/completions": "an answer to messages, whole or in pieces ([text generation](text-generation.md))",
    "POST /v1/completions": "what follows a prompt, in the same ways",
    "POST /tokenize": "the token ids of a prompt or of messages, as the model gets them",
    "POST /detokenize": "the text of token ids",
    "GET /v1/models": "the model, once for each name that requests may use",
    "GET /v1/models/{id}": "one of them",
    "GET /health": "200 while the model is served, else 503 with phase and reason",
    "GET /livez": "200 while the program answers at all",
    "GET /readyz": "as `/health`",
    "GET /startupz": "200 once the start has ended, well or not",
    "GET /status": "all that the pod knows of itself, as JSON",
    "GET /metrics": "[metrics](metrics.md) for Prometheus",
}

LIMITS = {
    "max_concurrent_requests": "requests that are worked on at the same time; further ones wait",
    "max_queued_requests": "requests that wait; further ones get 429 with `Retry-After`",
    "max_body_bytes": "a body; a larger one gets 413 before it is read",
    "max_tokens_per_request": "tokens of all texts of a request together; more get 413: send fewer per request",
    "request_timeout_seconds": "from the head of a request to its answer; later comes 504",
}

# What happened, and what helps; by the code's value.
CODES = {
    "invalid_request": (400, "a field is not what the route takes; `param` names it, and the entry of a list"),
    "invalid_json": (400, "the body is no JSON object"),
    "malformed_http": (400, "what arrived is no request of HTTP/1.1, or its body is cut wrongly; 505: another version of HTTP"),
    "unsupported_parameter": (400, "a field is not taken here, or not with this value; the message says which is"),
    "chat_template_limit": (400, "the model's chat template takes too long with these messages, or writes too much"),
    "unsupported_task": (400, "the model is served for another task; the message names it, and the paths to ask"),
    "context_length_exceeded": (400, "a text has more tokens than the model takes: send `truncate`, or split it"),
    "request_too_large": (
        413,
        "the body or the request's tokens are over a limit: send fewer texts per request; 431: the head is",
    ),
    "unsupported_media_type": (415, "a `Content-Encoding` or charset that is not taken; the message names those that are"),
    "request_timeout": (408, "the request did not arrive in time"),
    "invalid_api_key": (401, "no API key, or one that nobody has"),
    "origin_not_allowed": (403, "a browser asks for a page that may not read answers: `cors.allowOrigins`"),
    "model_not_found": (404, "`model` is not the one that is served here; the message names it"),
    "not_found": (404, "no such path; the message has the list"),
    "method_not_allowed": (405, "the path takes another method, which `Allow` names"),
    "queue_full": (429, "too much is waiting: try again after `Retry-After` seconds"),
    "model_not_ready": (503, "the model is on its way; try again after `Retry-After` seconds"),
    "model_failed": (503, "the model can't be served; the message says why"),
    "engine_died": (503, "the computing process died and is being replaced; try again after `Retry-After` seconds"),
    "deadline_exceeded": (504, "the request took longer than it may: send less at once"),
    "shutting_down": (503, "the pod is ending; another one may answer"),
    "non_finite_result": (500, "the model computed NaN or infinity, which is never sent"),
    "internal_error": (500, "a fault of the program; the pod's log has more"),
}


def render(page: str) -> str:
    """Return the page with its tables made anew."""
    return fill(page, _TABLES)


def served_routes() -> tuple[list[str], list[str]]:
    """Return method and path of each route, of the inference port and of the management port."""
    pod = Pod(Lifecycle(), Metrics())
    both = inference_routes(pod, Admission(lambda: pod.limits)), management_routes(pod)
    first, second = ([f"{method} {_shown(path)}" for path, methods in routes.items() for method in methods] for routes in both)
    return first, second


def _shown(path: str) -> str:
    return f"{path}{{id}}" if path != "/" and path.endswith("/") else path


def _routes() -> str:
    inference, management = served_routes()
    rows = [("8080", route, ROUTES[route]) for route in inference] + [("8081", route, ROUTES[route]) for route in management]
    free = {f"GET {path}" for path in UNGUARDED}
    keys = ["no" if port == "8081" or route in free else "if there are keys" for port, route, _ in rows]
    return table(
        ("port", "route", "key", "answers"), ((p, f"`{r}`", k, what) for (p, r, what), k in zip(rows, keys, strict=True))
    )


def _honoured() -> str:
    def names(field: Field) -> str:
        return ", ".join(f"`{each.name}`" for each in (field, *(other for other in FIELDS if other.same_as == field.name)))

    rows = ((names(field), field.takes, field.text) for field in _with(Effect.HONOURED))
    return table(("field", "takes", "does"), ((n, code(takes), code(text)) for n, takes, text in rows))


def _agrees() -> str:
    rows = [(f"`{field.name}`", ", ".join(map(value, field.agrees)), field.text) for field in _with(Effect.AGREES)]
    return table(("field", "taken", "because"), rows)


def _refused() -> str:
    by_text: dict[str, list[str]] = {}
    for field in _with(Effect.REFUSED):
        by_text.setdefault(field.text, []).append(f"`{field.name}`")
    return table(("field", "what helps"), ((", ".join(names), code(text)) for text, names in by_text.items()))


def _ignored() -> str:
    names = ", ".join(f"`{field.name}`" for field in _with(Effect.IGNORED))
    return f"{names}; and `{OPTIONS}`, unless it holds a field of the tables above, which would be lost in it.\n"


def _limits() -> str:
    rows = [
        (f"`limits.{to_camel(name)}`", f"`--{name.replace('_', '-')}`", f"{field.default:,}", LIMITS[name])
        for name, field in Limits.model_fields.items()
    ]
    return table(
        ("of a ModelDeployment", "of `pinion-serve`", "default", "bounds"),
        [*rows, ("", "", f"{MAX_INPUTS:,}", "texts of a request")],
    )


def _connections() -> str:
    bounds, pace = Bounds(), Pace()
    rows = [
        (
            f"{bounds.connections:,}",
            "connections of a port, fewer where there are few descriptors",
            "the one that is idle for longest is closed",
        ),
        (f"{bounds.head_bytes:,} bytes", "the line and the headers of a request", "431"),
        (f"{bounds.head_seconds:g} s", "the head of a request, from its first byte", "408"),
        (f"{bounds.idle_seconds:g} s", "a connection without a request, before the first and between two", "it is closed"),
        (f"{pace.idle_seconds:g} s", "a pause within a body", "408"),
        (
            f"{pace.bytes_per_second:g} bytes/s",
            f"the least speed of a body, on average, after its first {pace.idle_seconds:g} s",
            "408",
        ),
        (f"{bounds.rest_seconds:g} s", "the rest of a body whose request has been answered", "it is closed"),
        (f"{bounds.stall_seconds:g} s", "a client that takes nothing of its answer", "it is closed"),
        (f"{MOST_PIPELINED:,}", "requests of one connection that wait behind another", "429"),
    ]
    return table(("limit", "of", "then"), rows)


def _codes() -> str:
    rows = sorted((*CODES[each.value][:1], each.value, CODES[each.value][1]) for each in Code)
    return table(
        ("status", "code", "what happened, and what helps"), ((str(status), f"`{name}`", text) for status, name, text in rows)
    )


_TABLES: dict[str, Callable[[], str]] = {
    "routes": _routes,
    "honoured": _honoured,
    "agrees": _agrees,
    "refused": _refused,
    "ignored": _ignored,
    "limits": _limits,
    "connections": _connections,
    "codes": _codes,
}


def _with(effect: Effect) -> list[Field]:
    return [field for field in FIELDS if field.effect is effect]


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say that it is not what would be written; the exit status is 1 then."""
    return write_or_check("pinion_runtime.server.reference", __doc__, PAGE, render, arguments)


if __name__ == "__main__":
    sys.exit(main())
