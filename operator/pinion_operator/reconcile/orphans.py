"""Children that have lost their owner: it was deleted with `--cascade=orphan`, or they come from a backup."""

from collections.abc import Collection, Iterable, Mapping

from ..resources.kinds import CONFIGMAP, CONTROLLERREVISION, Object, Ref, kind_of, ref_of
from ..resources.names import DIGEST_ANNOTATION
from ..resources.owner import digest

# Kinds whose content the API server stores as it was applied, without defaults, by the fields that we set.
_VERBATIM = {CONFIGMAP: ("immutable", "data"), CONTROLLERREVISION: ("revision", "data")}


def is_orphan(child: Object) -> bool:
    """Return whether nobody controls the child, and nobody has asked for its deletion."""
    meta = child["metadata"]
    return "deletionTimestamp" not in meta and not any(owner.get("controller") for owner in meta.get("ownerReferences", ()))


def is_untouched(child: Object) -> bool:
    """Return whether the content of a child is the one whose digest it carries; False for kinds that cannot be told."""
    fields = _VERBATIM.get(kind_of(child), ())
    content = {name: child[name] for name in fields if name in child}
    return bool(content) and _digest_of(child) == digest(content)


def agreeing(orphans: Mapping[Ref, Object], wanted: Iterable[Object]) -> frozenset[Ref]:
    """Return the wanted children whose names orphans bear that are as we want them, or as we left them."""
    return frozenset(ref for child in wanted if (have := orphans.get(ref := ref_of(child))) and _agrees(have, child))


def explain_taken(taken: Collection[Ref]) -> str:
    """Return a sentence about names that others bear, with the command that frees them."""
    refs = sorted(taken)
    names = ", ".join(f"{ref.kind.name} {ref.name}" for ref in refs)
    targets = " ".join(f"{ref.kind.plural}.{ref.kind.group}/{ref.name}".replace("./", "/") for ref in refs)
    return (
        f"{names} exists already and was not made for this object, so it is left alone. "
        f"If nobody needs it: kubectl -n {refs[0].namespace} delete {targets}"
    )


def _agrees(have: Object, want: Object) -> bool:
    return is_untouched(have) or (_digest_of(have) != "" and _digest_of(have) == _digest_of(want))


def _digest_of(child: Object) -> str:
    return str(child["metadata"].get("annotations", {}).get(DIGEST_ANNOTATION, ""))
