"""What a PromQL expression names: metrics, and the labels selected or grouped by. What it cannot read is an error."""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'\s+|(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>\d+(?:\.\d+)?(?:ms|s|m|h|d)?)|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)'
    r"|(?P<variable>\$[a-zA-Z_]+)|(?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^=<>(){}\[\],])"
)
FUNCTIONS = {
    "sum", "max", "min", "avg", "count", "rate", "increase", "max_over_time", "histogram_quantile", "vector", "absent",
    "label_values",
}  # fmt: skip
_GROUPING, _OTHERS = {"by", "without", "on"}, {"and", "or", "unless", "offset"}


class QueryError(ValueError):
    """The expression holds what this reader does not know."""


@dataclass
class Query:
    """What one expression names."""

    metrics: dict[str, set[str]] = field(default_factory=dict)  # metric -> labels in its selectors
    grouped: set[str] = field(default_factory=set)


def read(expression: str) -> Query:
    """Return what an expression names."""
    query, tokens, at = Query(), tokens_of(expression), 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "name" and text in _GROUPING:
            end = tokens.index(("operator", ")"), at)
            query.grouped |= {word for what, word in tokens[at:end] if what == "name"} - _GROUPING
            at = end
        elif kind == "name" and text in FUNCTIONS and following in ("(", "by", "without"):
            pass
        elif kind == "name" and text not in _OTHERS:
            labels = query.metrics.setdefault(text, set())
            if following == "{":
                end = tokens.index(("operator", "}"), at)
                labels |= {word for what, word in tokens[at + 1 : end] if what == "name"}
                at = end
        at += 1
    return query


def tokens_of(expression: str) -> list[tuple[str, str]]:
    """Return (kind, text) of each token."""
    found, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise QueryError(f"{expression[at : at + 20]!r} in {expression!r}")
        at = match.end()
        if match.lastgroup:
            found.append((match.lastgroup, match[match.lastgroup]))
    return found
