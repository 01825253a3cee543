"""Who bears the names that a plan wants for its children: nobody, us, or a stranger whose object we must not take over."""

from collections.abc import Iterable, Set

from ..cluster.api import Api
from ..reconcile.orphans import is_orphan
from ..resources.kinds import LISTED, SECRET, Object, Ref
from ..resources.names import FIELD_MANAGER, MANAGED_BY, MANAGER
from .store import Store, owner_uids


class Ownership:
    """Remembers the names found taken, by owner, and looks at them again at each pass until they are free."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api, self._store = api, store
        self._taken: dict[Ref, frozenset[Ref]] = {}

    async def still_taken(self, owner: Ref, obj: Object) -> frozenset[Ref]:
        """Return those of the names found taken before that are taken still; an orphan may be as we want it by now."""
        remembered = self._taken.pop(owner, frozenset())
        still = {
            ref for ref in remembered if is_stranger(bearer := await self.bearer(ref), obj) and not _is_tied_orphan(bearer)
        }
        self.remember(owner, still)
        return frozenset(still)

    async def find(
        self, owner: Ref, obj: Object, wanted: Iterable[Ref], adopt: Set[Ref] = frozenset()
    ) -> tuple[frozenset[Ref], frozenset[Ref]]:
        """Return (names that strangers bear, names that children of a deleted predecessor of this name bear still).

        Of those in `adopt` an orphan is no stranger, if it was this operator that applied it.
        """
        taken, vanishing, wanted = set(), set(), tuple(wanted)
        for ref, bearer in zip(wanted, await self._api.together(map(self.bearer, wanted)), strict=True):
            if is_predecessors(bearer, owner, obj):
                vanishing.add(ref)
            elif is_stranger(bearer, obj) and not (ref in adopt and await self._is_our_orphan(ref)):
                taken.add(ref)
        self.remember(owner, taken)
        return frozenset(taken), frozenset(vanishing)

    async def taken_by(self, ref: Ref, obj: Object, adopt: Set[Ref]) -> Object | None:
        """Return the stranger that bears a name, asked of the API server; None when there is none. Nothing is remembered."""
        bearer = await self.bearer(ref)
        if not is_stranger(bearer, obj) or (ref in adopt and await self._is_our_orphan(ref)):
            return None
        return bearer

    async def _is_our_orphan(self, ref: Ref) -> bool:
        """Ask the API server, since the store keeps no managedFields, and somebody may have taken it over meanwhile."""
        found = await self._api.get(ref.kind, (ref.namespace, ref.name))
        managers = found["metadata"].get("managedFields", ()) if found else ()
        applied = any((one.get("manager"), one.get("operation")) == (FIELD_MANAGER, "Apply") for one in managers)
        return found is not None and applied and is_orphan(found)

    async def bearer(self, ref: Ref) -> Object | None:
        """Return what bears a name now. We watch only what has our label: what the store lacks may exist all the same.

        Secrets are not read: for all that is known nobody bears their names.
        """
        if ref.kind == SECRET:
            return None
        known = None if ref.kind in LISTED else self._store.get(ref.kind, (ref.namespace, ref.name))
        return known or await self._api.get(ref.kind, (ref.namespace, ref.name))

    def remember(self, owner: Ref, taken: Iterable[Ref]) -> None:
        """Note taken names, beside those noted before."""
        if refs := self._taken.get(owner, frozenset()) | frozenset(taken):
            self._taken[owner] = refs

    def forget(self, owner: Ref) -> None:
        """Drop what is remembered for an owner that is gone."""
        self._taken.pop(owner, None)


def is_ours(child: Object, obj: Object) -> bool:
    """Return whether the child's ownerReferences name this very object."""
    return obj["metadata"]["uid"] in owner_uids(child)


def is_stranger(child: Object | None, obj: Object) -> bool:
    """Return whether the name is borne by what we must not touch."""
    return child is not None and not is_ours(child, obj)


def _is_tied_orphan(child: Object | None) -> bool:
    labels = child["metadata"].get("labels", {}) if child else {}
    return child is not None and labels.get(MANAGED_BY) == MANAGER and is_orphan(child)


def is_predecessors(child: Object | None, owner: Ref, obj: Object) -> bool:
    """Return whether the child belongs to a deleted object of the same kind and name: the garbage collector will take it."""
    return child is not None and any(
        (reference["apiVersion"], reference["kind"], reference["name"]) == (owner.kind.api_version, owner.kind.name, owner.name)
        and reference["uid"] != obj["metadata"]["uid"]
        for reference in child["metadata"].get("ownerReferences", [])
    )
