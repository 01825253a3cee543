"""What the alerts' expressions are over scrapes, as Prometheus has it: the part of PromQL that they use, an error else.

Simpler in one thing: `increase` and `rate` count what is between samples, and add nothing beyond the first and last.
"""

import itertools
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.promql import QueryError, tokens_of

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
LOOKBACK = 300.0  # seconds: older scrapes tell nothing of now
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_MATCH: dict[str, Callable[[str, str], bool]] = {
    "=": lambda wanted, text: text == wanted,
    "!=": lambda wanted, text: text != wanted,
    "=~": lambda wanted, text: re.fullmatch(wanted, text) is not None,
    "!~": lambda wanted, text: re.fullmatch(wanted, text) is None,
}
_AGGREGATE: dict[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min, "count": len}


def labels(**values: str) -> Labels:
    """Return labels; `__name__` is the metric."""
    return frozenset(values.items())


@dataclass
class History:
    """Scrapes in the order of their times; what a scrape lacks has ended with it."""

    scrapes: list[tuple[float, Vector]] = field(default_factory=list)

    def add(self, at: float, samples: Mapping[Labels, float]) -> None:
        """Take in one scrape of everything."""
        self.scrapes.append((at, dict(samples)))

    def at(self, time: float) -> Vector:
        """Return what there is at a time."""
        known = [(at, samples) for at, samples in self.scrapes if time - LOOKBACK < at <= time]
        return known[-1][1] if known else {}

    def over(self, time: float, seconds: float) -> dict[Labels, list[float]]:
        """Return the samples of the seconds before a time."""
        found: dict[Labels, list[float]] = {}
        for at, samples in self.scrapes:
            if time - seconds < at <= time:
                for series, value in samples.items():
                    found.setdefault(series, []).append(value)
        return found


def evaluate(expression: str, history: History, time: float) -> Vector:
    """Return the vector that an expression is at a time."""
    parser = _Parser(tokens_of(expression), history, time)
    value = parser.any_of()
    if parser.rest() or not isinstance(value, dict):
        raise QueryError(f"{expression!r}: cannot read from {parser.rest()[:3]}")
    return value


def firing(rule: Mapping[str, Any], history: History) -> dict[float, list[dict[str, str]]]:
    """Return the labels of the alerts that fire, by the time of each scrape: also those there for less than `for` do not."""
    since: dict[Labels, float] = {}
    fires = {}
    for now, _ in history.scrapes:
        active = evaluate(rule["expr"], history, now)
        since = {series: since.get(series, now) for series in active}
        fires[now] = [dict(series) for series, begin in since.items() if now - begin >= seconds_of(rule.get("for", "0s"))]
    return fires


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration as PromQL writes it."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", duration)
    if match is None:
        raise QueryError(f"{duration!r} is no duration")
    return float(match[1]) * _UNITS[match[2]]


class _Parser:
    """Reads and evaluates at once, by precedence: or, then and/unless, then comparisons, then division."""

    def __init__(self, tokens: list[tuple[str, str]], history: History, time: float) -> None:
        self._tokens, self._history, self._time = tokens, history, time

    def rest(self) -> list[str]:
        return [text for _, text in self._tokens]

    def any_of(self) -> Vector | float:
        left = self._both()
        while self._take("or"):
            key = self._matching()
            right = _vector(self._both())
            known = {key(series) for series in _vector(left)}
            left = _vector(left) | {series: value for series, value in right.items() if key(series) not in known}
        return left

    def _both(self) -> Vector | float:
        left = self._compared()
        while (word := self._next()) in ("and", "unless"):
            self._take(word)
            key = self._matching()
            known = {key(series) for series in _vector(self._compared())}
            wanted = word == "and"
            left = {series: value for series, value in _vector(left).items() if (key(series) in known) == wanted}
        return left

    def _compared(self) -> Vector | float:
        left = self._divided()
        while (sign := self._next()) in _COMPARE:
            self._take(sign)
            right = self._divided()
            if isinstance(right, dict):
                raise QueryError("compared with a vector")
            left = {series: value for series, value in _vector(left).items() if _COMPARE[sign](value, right)}
        return left

    def _divided(self) -> Vector | float:
        left = self._one()
        while self._take("/"):
            by = {_nameless(series): value for series, value in _vector(self._one()).items()}
            parts = {_nameless(series): value for series, value in _vector(left).items()}
            left = {series: value / by[series] for series, value in parts.items() if by.get(series)}
        return left

    def _one(self) -> Vector | float:
        kind, text = self._pop()
        if text == "(":
            value = self.any_of()
            self._want(")")
            return value
        if kind == "number":
            return float(text)
        if kind != "name":
            raise QueryError(f"{text!r} is not known here")
        if text in _AGGREGATE:
            return self._aggregated(_AGGREGATE[text])
        if self._next() != "(":
            matches, _, offset = self._selector(text)
            return {series: value for series, value in self._history.at(self._time - offset).items() if matches(series)}
        self._want("(")
        value = self._called(text)
        self._want(")")
        return value

    def _called(self, function: str) -> Vector:
        if function == "vector":
            return {frozenset(): float(self._pop()[1])}
        matches, seconds, offset = self._selector(self._pop()[1])
        samples = self._history.over(self._time - offset, seconds)
        found = {_nameless(series): values for series, values in samples.items() if matches(series)}
        if function == "max_over_time":
            return {series: max(values) for series, values in found.items()}
        if function not in ("increase", "rate"):
            raise QueryError(f"the function {function} is not known here")
        share = seconds if function == "rate" else 1.0
        return {series: _increase(values) / share for series, values in found.items() if len(values) > 1}

    def _aggregated(self, function: Callable[[list[float]], float]) -> Vector:
        names = self._names() if self._take("by") else ()
        self._want("(")
        value = _vector(self.any_of())
        self._want(")")
        if self._take("by"):
            names = self._names()
        groups: dict[Labels, list[float]] = {}
        for series, one in value.items():
            groups.setdefault(_kept(series, names), []).append(one)
        return {series: float(function(values)) for series, values in groups.items()}

    def _selector(self, metric: str) -> tuple[Callable[[Labels], bool], float, float]:
        """Return (whether a series is meant, seconds of its range, seconds of its offset)."""
        wanted, seconds, offset = [("__name__", "=", metric)], 0.0, 0.0
        if self._take("{"):
            while not self._take("}"):
                name, sign, text = (self._pop()[1] for _ in range(3))
                wanted.append((name, sign, text.strip('"')))
                self._take(",")
        if self._take("["):
            seconds = seconds_of(self._pop()[1])
            self._want("]")
        if self._take("offset"):
            offset = seconds_of(self._pop()[1])
        return (
            lambda series: all(_MATCH[sign](text, dict(series).get(name, "")) for name, sign, text in wanted),
            seconds,
            offset,
        )

    def _matching(self) -> Callable[[Labels], Labels]:
        if not self._take("on"):
            return _nameless
        names = self._names()
        return lambda series: _kept(series, names)

    def _names(self) -> tuple[str, ...]:
        self._want("(")
        names = []
        while not self._take(")"):
            names.append(self._pop()[1])
            self._take(",")
        return tuple(names)

    def _next(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _take(self, text: str) -> bool:
        if self._next() != text:
            return False
        self._tokens = self._tokens[1:]
        return True

    def _want(self, text: str) -> None:
        if not self._take(text):
            raise QueryError(f"{text!r} is missing before {self.rest()[:3]}")

    def _pop(self) -> tuple[str, str]:
        if not self._tokens:
            raise QueryError("it ends too early")
        first, *self._tokens = self._tokens
        return first


def _vector(value: Vector | float) -> Vector:
    if not isinstance(value, dict):
        raise QueryError(f"{value:g} is no vector")
    return value


def _nameless(series: Labels) -> Labels:
    return frozenset((name, value) for name, value in series if name != "__name__")


def _kept(series: Labels, names: Iterable[str]) -> Labels:
    return frozenset((name, value) for name, value in series if name in names)


def _increase(values: list[float]) -> float:
    """Return the growth of a counter; one that is smaller than before began anew."""
    return sum(now - before if now >= before else now for before, now in itertools.pairwise(values))
