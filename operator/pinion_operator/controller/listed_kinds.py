"""Lists that keep the store where nothing is watched, and without which everything else goes on: rights may lack the kinds."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NoReturn

from ..cluster.api import Api
from ..cluster.errors import ApiError, ForbiddenError, NotFoundError
from ..resources.kinds import LISTED, Kind
from .store import Store

_SOON = 5.0  # seconds: after an answer that says nothing of rights

log = logging.getLogger(__name__)


class ListedKinds:
    """`refill` goes on for ever; what changes between two lists is known late, which costs time only."""

    def __init__(self, api: Api, store: Store, namespaces: Sequence[str]) -> None:
        self._api, self._store = api, store
        self._namespaces = tuple(namespaces) or ("",)
        self._problems: dict[tuple[Kind, str], str] = {}  # "" = listed; what is not in it was not listed yet

    def problem(self, kind: Kind, namespace: str) -> str | None:
        """Return why objects of a kind are not known, "" when they are, None before the first list."""
        return self._problems.get((kind, namespace if namespace in self._namespaces else ""))

    async def refill(self, every: float) -> NoReturn:
        """List everything now, and every so many seconds."""
        while True:
            wait = every
            for namespace in self._namespaces:
                for kind in LISTED:
                    if not await self._list(kind, namespace):
                        wait = min(every, _SOON)
            await asyncio.sleep(wait)

    async def _list(self, kind: Kind, namespace: str) -> bool:
        """List one kind; return False when that says nothing, and is to be done again soon."""
        problem = ""
        try:
            as_of, items = await self._api.list(kind, namespace)
        except (ForbiddenError, NotFoundError) as error:
            problem = (
                f"the operator may not list {kind.plural}.{kind.group} (HTTP {error.status}): its role is of an older chart"
            )
        except ApiError:
            return False
        else:
            self._store.replace(kind, items, as_of, namespace)
        if problem and self._problems.get((kind, namespace)) != problem:
            log.warning("a kind is done without", extra={"kind": kind.name, "namespace": namespace, "error": problem})
        self._problems[kind, namespace] = problem
        return True
