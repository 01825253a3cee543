"""Children that come back from the API server otherwise than they were applied: admission (a webhook, a policy) changed them.

How a child came back is remembered as a digest in its owner's status: while it stays so, it is as it should be, also for an
operator that has just started. A later edit gives another digest, and is put right.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..api.base import MutatedChild
from ..resources.kinds import Object, Ref, ref_of
from ..resources.names import RECONCILE_ANNOTATION
from ..resources.owner import digest
from .drift import Difference, covers, differences

SHOWN_FIELDS, SHOWN_VALUE = 8, 120  # fields of one child in a message; characters of one value
MAX_CHILDREN, MAX_VARYING = 32, 16  # of the lists in the schema
_HIDDEN = frozenset({"data", "binaryData", "env"})  # below these, values may be secret


@dataclass(frozen=True)
class Answer:
    """How the API server answered the apply of a child that it then did not keep as it was sent."""

    wanted: str  # digest of what was sent
    changes: str  # digest of the values that came back instead, by field, but for the varying
    varying: frozenset[str] = frozenset()  # fields that came back with another value each time


@dataclass(frozen=True)
class Mutation:
    """A child that is left as it came back."""

    ref: Ref
    answer: Answer
    changes: str  # for people

    @property
    def message(self) -> str:
        """Return a sentence."""
        return f"admission changed {self.ref.kind.name} {self.ref.name}: {self.changes}"


@dataclass(frozen=True)
class Admission:
    """What is remembered of the answers about one object's children."""

    wish: str = ""  # another one asks the API server again
    answers: Mapping[Ref, Answer] = field(default_factory=dict)  # to this process
    told: Mapping[str, MutatedChild] = field(default_factory=dict)  # by the object's status, by child

    @classmethod
    def of(cls, owner: Object, answers: Mapping[Ref, Answer], told: Iterable[MutatedChild]) -> "Admission":
        """Return what this process remembers and what the status tells."""
        return cls(wish_of(owner), answers, {one.child: one for one in told})

    def accepts(self, have: Object | None, want: Object) -> bool:
        """Return whether a child is there as it is wanted, or as the API server made it of what was sent."""
        return have is not None and (covers(have, want) or self.mutation(have, want) is not None)

    def mutation(self, have: Object | None, want: Object) -> Mutation | None:
        """Return how admission has changed a child that stays as it is; None when it has not, or when something else has."""
        ref, told = ref_of(want), self.unseen(want)
        known = [answer for answer in (self.answers.get(ref), told and told.answer) if answer]
        if have is None or not known:
            return None
        found, wanted = tuple(differences(have, want)), digest_wanted(want, self.wish)
        for answer in known:
            if answer.wanted == wanted and answer.changes == digest_changes(found, answer.varying):
                return Mutation(ref, answer, explain(found, answer.varying)) if found or answer.varying else None
        return None

    def unseen(self, want: Object) -> Mutation | None:
        """Return what was told of a child that nobody looks at now."""
        ref = ref_of(want)
        told = self.told.get(child_name(ref))
        if told is None:
            return None
        return Mutation(ref, Answer(told.wanted, told.changes, frozenset(told.varying)), told.message)

    def to_status(self, mutations: Iterable[Mutation], awaited: Collection[Object]) -> tuple[MutatedChild, ...]:
        """Return what the status has to tell: of children that are about to be applied, what it told before."""
        told = [one for child in awaited if (one := self.unseen(child))]
        by_child = {child_name(one.ref): one for one in (*told, *mutations)}
        return tuple(
            MutatedChild(
                child=name,
                wanted=one.answer.wanted,
                changes=one.answer.changes,
                message=one.changes,
                varying=tuple(sorted(one.answer.varying)),
            )
            for name, one in sorted(by_child.items())[:MAX_CHILDREN]
        )


def wish_of(owner: Object) -> str:
    """Return what people write to have everything looked at again: admission may have changed."""
    return str((owner["metadata"].get("annotations") or {}).get(RECONCILE_ANNOTATION, ""))


def tells_of(owner: Object, mutation: Mutation) -> bool:
    """Return whether the owner's status tells of just this change already."""
    told = owner.get("status", {}).get("mutatedChildren") or ()
    name = child_name(mutation.ref)
    return any((one.get("child"), one.get("changes")) == (name, mutation.answer.changes) for one in told)


def child_name(ref: Ref) -> str:
    """Return the word by which a status names a child."""
    return f"{ref.kind.name}/{ref.name}"


def digest_wanted(want: Object, wish: str) -> str:
    """Return a digest of a child as it is sent."""
    return digest([want, wish])


def digest_changes(found: Iterable[Difference], varying: Collection[str]) -> str:
    """Return a digest of the values that are there instead of ours, by field."""
    return digest(sorted([one.field, json.dumps(one.got, sort_keys=True)] for one in found if one.field not in varying))


def explain(found: Iterable[Difference], varying: Collection[str] = ()) -> str:
    """Return which fields are what instead of what, cut to a length; nothing in it changes by itself."""
    changed = [_explain_one(one) for one in found if one.field not in varying]
    said = [*(f"{name} is another value each time" for name in sorted(varying)), *changed]
    more = f", and {len(said) - SHOWN_FIELDS} more fields" if len(said) > SHOWN_FIELDS else ""
    return ", ".join(said[:SHOWN_FIELDS]) + more


def _explain_one(one: Difference) -> str:
    if _HIDDEN.intersection(one.path):
        return f"{one.field} is not what was sent"
    return f"{one.field} is {_show(one.got)} instead of {_show(one.wanted)}"


def _show(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= SHOWN_VALUE else f"{text[: SHOWN_VALUE - 1]}…"
