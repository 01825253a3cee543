"""What a kind brings to the worker, and what it is given: the border between the mechanism and the two custom resources."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

import aiohttp

from ..cluster.api import Api
from ..reconcile.admission import Answer
from ..reconcile.custom_code import CustomCode
from ..reconcile.orphans import is_orphan
from ..reconcile.plan import Plan
from ..reconcile.refusal import Refusal
from ..resources.kinds import POD, Key, Kind, Object, Ref, ref_of
from ..resources.platform import PLAIN, Platform
from .secret_reader import SecretReader
from .store import Store

ObservedT = TypeVar("ObservedT")


@dataclass(frozen=True)
class Defaults:
    """What the operator was started with and objects may leave unsaid."""

    runtime_image: str
    kubo_image: str
    image_pull_policy: str = "IfNotPresent"
    hub_endpoint: str = ""  # "" = the library's default hub
    allow_local_addresses: bool = False  # whether URLs that objects name may lead pods to loopback, link-local and the like
    allowed_networks: tuple[str, ...] = ()  # where such URLs may lead the operator, beside public addresses
    management_namespaces: tuple[str, ...] = ()  # from where pods' management port is asked: the operator's own, monitoring
    operator_namespace: str = ""  # from where daemons are asked
    run_as: str = "Fixed"  # or Cluster: pods ask for no user and group of their own
    custom_code: CustomCode = field(default_factory=CustomCode)  # what objects may run and mount beside what is ours


@dataclass(frozen=True)
class Context:
    """Everything outside the object itself that observing it may read."""

    store: Store
    api: Api  # raises the errors of cluster.errors; for what is not watched and for nothing else
    secrets: SecretReader  # of tokens that objects name
    http: aiohttp.ClientSession  # shared by all probes; each call still names its own timeout
    defaults: Defaults
    enqueue: Callable[[Ref], None]  # another object of a reconciled kind: look at it soon
    now: Callable[[], datetime]  # aware, UTC
    probing: AbstractAsyncContextManager[object]  # entered for each probe of a pod: so many at once for all objects together
    key: Callable[[], Awaitable[bytes]]  # of this installation: what daemons are told is derived from it
    listing: Callable[[Kind, str], str | None] = lambda kind, namespace: None  # why a kind that is listed only is not known
    platform: Callable[[], Platform] = lambda: PLAIN  # what pods are fitted to, as it is now
    taken: frozenset[Ref] = (
        frozenset()
    )  # children that this object wants and whose names belong to strangers: Stalled/NameTaken

    refused: Mapping[Ref, Refusal] = field(default_factory=dict)  # children of this object, as they were sent last
    answers: Mapping[Ref, Answer] = field(default_factory=dict)  # children that came back otherwise than they were sent

    def children(self, owner_uid: str) -> tuple[Object, ...]:
        """Return the watched objects whose ownerReferences name this uid, sorted by kind and name.

        Pods are not among them (their owner is a ReplicaSet or a StatefulSet): use `list(POD, namespace, {label: name})`.
        """
        return self.store.children(owner_uid)

    def orphans(self, label: str, namespace: str, name: str) -> Mapping[Ref, Object]:
        """Return the watched objects that the label ties to an object of this name and that nobody controls; no pods."""
        tied = self.store.labelled(label, namespace, name)
        return {ref_of(child): child for child in tied if is_orphan(child) and child["kind"] != POD.name}

    def get(self, kind: Kind, key: Key) -> Object | None:
        """Return one watched object by (namespace, name), without asking the API server; None when the store has none.

        Of children and pods the store holds only those with our managed-by label.
        """
        return self.store.get(kind, key)

    def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> tuple[Object, ...]:
        """Return the watched objects of a kind in a namespace that carry all these labels, sorted by name."""
        return self.store.list(kind, namespace, labels)


class Reconciler(Protocol[ObservedT]):
    """One reconciled kind. The worker: observe, decide, and, when something is to be done, read the object again and carry out.

    One key is never in two calls at once, different keys are. An instance may keep facts between passes (probe results, when it
    last asked the hub), bounded by the objects alive: `forget` says when one is gone.
    """

    @property
    def kind(self) -> Kind:
        """Return the reconciled kind."""

    async def observe(self, obj: Object, context: Context) -> ObservedT:
        """Gather everything that the decision needs, frozen; never write.

        Raise only for what is worth a retry with backoff: an answer of a probe that means something is a fact, not an error.
        """

    def decide(self, observed: ObservedT) -> Plan:
        """Return what to do now. Pure and total. Also called for an object in deletion (`metadata.deletionTimestamp`)."""

    async def unpin(self, obj: Object, cids: tuple[str, ...], context: Context) -> None:
        """Carry out `Plan.unpin`; a kind whose plans never ask for it raises NotImplementedError."""

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone."""
