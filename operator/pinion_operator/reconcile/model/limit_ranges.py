"""A namespace's own defaults for containers: they go before ours, for a request of ours above their limit would be refused."""

from collections.abc import Iterator, Mapping, Sequence

from ...resources.kinds import Object
from ..quantity import parse_quantity
from .idle import idle_reason
from .observed import Observed
from .source import SourceFacts
from .upstream import follow


def matter(seen: Observed) -> bool:
    """Return whether a revision is about to be rendered: what is rendered is never looked at again."""
    scope = seen.scope
    if scope is None or idle_reason(scope.model):
        return False
    if scope.current is None:
        return isinstance(scope.source or seen.resolution, SourceFacts)
    return follow(seen, scope, scope.current) is not None


def fit_to_namespace(requests: Mapping[str, str], limit_ranges: Sequence[Object]) -> dict[str, str]:
    """Return the requests without those that the namespace limits by default, and the others at its minimum at least."""
    limited = {name for item in _of_containers(limit_ranges) for name in item.get("default") or ()}
    fitted = {name: value for name, value in requests.items() if name not in limited}
    for item in _of_containers(limit_ranges):
        for name, least in (item.get("min") or {}).items():
            if name in fitted and parse_quantity(str(least)) > parse_quantity(fitted[name]):
                fitted[name] = str(least)
    return fitted


def _of_containers(limit_ranges: Sequence[Object]) -> Iterator[Object]:
    for limit_range in limit_ranges:
        yield from (item for item in limit_range["spec"].get("limits") or () if item.get("type") == "Container")
