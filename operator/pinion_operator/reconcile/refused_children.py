"""Children that the API server does not accept as they are wanted: told in the status, and not sent again and again."""

from collections.abc import Mapping
from dataclasses import replace

from ..resources.kinds import Object, Ref, ref_of
from ..resources.names import DIGEST_ANNOTATION
from .pending import Pending
from .refusal import Refusal

Refused = Mapping[Ref, Refusal]


def refusal_of(refused: Refused, child: Object) -> Refusal | None:
    """Return the refusal of a child in just this form; None: it was taken, or not sent yet."""
    refusal = refused.get(ref_of(child))
    digest = child["metadata"].get("annotations", {}).get(DIGEST_ANNOTATION, "")
    return refusal if refusal and refusal.digest == digest else None


def refused_children(refused: Refused, pending: Pending) -> Refused:
    """Return those of the wanted children that were refused in just this form."""
    wanted = (*pending.replace, *pending.create, *pending.apply)
    return {ref_of(child): refusal for child in wanted if (refusal := refusal_of(refused, child))}


def is_refused(refused: Refused, child: Object) -> bool:
    """Return whether the API server did not accept a child of this name lately."""
    refusal = refused.get(ref_of(child))
    return refusal is not None and not refusal.again


def without_refused(pending: Pending, refused: Refused) -> Pending:
    """Return what to do now: a refused child, and what is made for its sake, only when it is time to try again."""
    wait = {ref for ref, refusal in refused.items() if not refusal.again}
    apply = tuple(child for child in pending.apply if ref_of(child) not in wait)
    return replace(pending, replace=() if wait else pending.replace, create=() if wait else pending.create, apply=apply)
