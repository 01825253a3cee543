"""How the API server answered our applies where it did not keep what was sent: remembered, so that nothing is fought over."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..reconcile.admission import MAX_VARYING, Answer, Mutation, digest_changes, digest_wanted, explain, wish_of
from ..reconcile.drift import Difference, differences
from ..reconcile.vital import is_vital
from ..resources.kinds import Object, Ref, ref_of

VARIES_AFTER, WITHIN = 3, 600.0  # so many different answers to the same child in so many seconds: it is another each time

_Values = dict[str, str]  # what came back, by field


@dataclass
class _Known:
    wanted: str
    answer: Answer
    vital: bool  # it came back in a form that the owner must not be called Ready with
    varying: frozenset[str] = frozenset()
    different: list[tuple[float, _Values]] = field(default_factory=list)  # the newest of those that differ, oldest first


class Heard(NamedTuple):
    """What an answer says."""

    mutation: Mutation | None  # None: the child came back as it was sent
    vital: tuple[Difference, ...]  # what of it must not be
    is_news: bool  # the answer before, to the same or another form of the child, was another


class Answers:
    """By owner and child; bounded by the objects alive: `forget` drops what is remembered of one that is gone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._known: dict[Ref, dict[Ref, _Known]] = {}
        self._clock = clock

    def of(self, owner: Ref) -> Mapping[Ref, Answer]:
        """Return what children came back otherwise and may stay so."""
        return {ref: known.answer for ref, known in self._known.get(owner, {}).items() if not known.vital}

    def note(self, owner: Ref, obj: Object, child: Object, answer: Object) -> Heard:
        """Remember how a child came back that was sent for this object; return what that says."""
        ref, found = ref_of(child), tuple(differences(answer, child))
        before = self._known.get(owner, {}).get(ref)
        previous = before and before.answer
        if not found:
            self._drop(owner, ref)
            return Heard(None, (), is_news=before is not None)
        values = {one.field: json.dumps(one.got, sort_keys=True) for one in found}
        wanted = digest_wanted(child, wish_of(obj))
        known = self._known.setdefault(owner, {}).setdefault(ref, _Known("", Answer("", ""), vital=False))
        if known.wanted != wanted:
            known.wanted, known.varying, known.different = wanted, frozenset(), []
        self._learn_varying(known, values)
        known.answer = Answer(wanted, digest_changes(found, known.varying), known.varying)
        vital = tuple(one for one in found if is_vital(ref.kind.name, one))
        known.vital = bool(vital)
        return Heard(Mutation(ref, known.answer, explain(found, known.varying)), vital, is_news=known.answer != previous)

    def forget(self, owner: Ref) -> None:
        """Drop what is remembered for an owner that is gone."""
        self._known.pop(owner, None)

    def _drop(self, owner: Ref, ref: Ref) -> None:
        if known := self._known.get(owner):
            known.pop(ref, None)
            if not known:
                del self._known[owner]

    def _learn_varying(self, known: _Known, values: _Values) -> None:
        now = self._clock()
        if not known.different or known.different[-1][1] != values:
            known.different = [one for one in known.different if now - one[0] < WITHIN][1 - VARIES_AFTER :]
            known.different.append((now, values))
        if len(known.different) >= VARIES_AFTER:
            every = [one for _, one in known.different]
            names = {name for one in every for name in one if any(other.get(name) != one[name] for other in every)}
            known.varying = frozenset(sorted(known.varying | names)[:MAX_VARYING])
