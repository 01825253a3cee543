"""A revision: rendered once, kept in a ControllerRevision, applied from there word for word."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pinion_ipfs.hub.selection import FIRST

from ...api.modeldeployment import ModelDeployment
from ...resources.controllerrevision import build_controller_revision
from ...resources.kinds import CONTROLLERREVISION, Object
from ...resources.model_names import SOURCE_ANNOTATION, revision_name
from ...resources.names import INPUTS_ANNOTATION, RESTART_ANNOTATION, REVISION_LABEL
from ..quantity import parse_quantity
from ..rendered import backend_order
from .annotations import restart_wish
from .backends import Choice
from .inputs import Hashes, InputHashes, hash_inputs, naming
from .source import SourceFacts


@dataclass(frozen=True)
class Revision:
    """What is kept of one revision."""

    name: str
    number: int  # the highest is that of the current one: made last, or gone back to last
    inputs: str  # hash of the user's inputs that led here last
    asked: str  # hash of what they say about the source
    restart: str  # the wish for a restart that was there when it was current last
    generation: int  # metadata.generation that it was made for
    created_at: str  # RFC 3339; "" while the API server has not seen it
    config: str  # the JSON text of RuntimeConfig
    config_digest: str
    config_map: str  # that its template mounts; "" = made before its name told its content
    template: Object
    source: SourceFacts
    backends: tuple[str, ...]
    from_namespace: bool  # the backends were the namespace's, none was named
    one_pod: bool = False  # its volume can be mounted by one pod alone

    @property
    def is_first_form(self) -> bool:
        """Return whether its pods know the first form of the configuration: name and expected CID in it, for good."""
        return not self.config_map

    def config_map_of(self, deployment: str) -> str:
        """Return the ConfigMap that its pods mount."""
        return self.config_map or revision_name(deployment, self.name)

    def serves_as(self, model: ModelDeployment) -> bool:
        """Return whether its pods can be called, and can expect, what the spec says now, without another configuration."""
        if not self.is_first_form:
            return True
        config, expected = json.loads(self.config), model.spec.model.expected
        told = config.get("expectedCid", "")
        named = config["modelName"] == served_name(model)
        return bool(named and (not told or expected is None or expected.cid == told))

    @classmethod
    def from_object(cls, obj: Object) -> "Revision":
        """Read a ControllerRevision of ours."""
        meta, data = obj["metadata"], obj["data"]
        source = data["source"]
        return cls(
            name=meta["labels"][REVISION_LABEL],
            number=obj["revision"],
            inputs=meta.get("annotations", {}).get(INPUTS_ANNOTATION, ""),
            asked=meta.get("annotations", {}).get(SOURCE_ANNOTATION, ""),
            restart=meta.get("annotations", {}).get(RESTART_ANNOTATION, ""),
            generation=data["generation"],
            created_at=meta.get("creationTimestamp", ""),
            config=data["config"],
            config_digest=data["configDigest"],
            config_map=data.get("configMap", ""),
            template=data["template"],
            source=SourceFacts(
                source["commit"],
                source["sourceDigest"],
                source["totalBytes"],
                source["fileCount"],
                source.get("selectionRule", FIRST),
            ),
            backends=tuple(data["backends"]),
            from_namespace=data["fromNamespace"],
            one_pod=data.get("onePod", False),
        )

    def to_object(self, owner: Object) -> dict[str, Any]:
        """Return the ControllerRevision to apply."""
        data = {
            "generation": self.generation,
            "config": self.config,
            "configDigest": self.config_digest,
            **({"configMap": self.config_map} if self.config_map else {}),
            "template": self.template,
            "source": {
                "commit": self.source.commit,
                "sourceDigest": self.source.source_digest,
                "totalBytes": self.source.total_bytes,
                "fileCount": self.source.file_count,
                **({"selectionRule": rule} if (rule := self.source.selection_rule) != FIRST else {}),
            },
            "backends": list(self.backends),
            "fromNamespace": self.from_namespace,
            **({"onePod": True} if self.one_pod else {}),
        }
        return build_controller_revision(owner, self.name, self.number, self.inputs, self.asked, self.restart, data)


def revisions_of(children: Iterable[Object]) -> tuple[Revision, ...]:
    """Return the revisions among the children, newest first."""
    found = [
        Revision.from_object(child)
        for child in children
        if child["kind"] == CONTROLLERREVISION.name
        and "deletionTimestamp" not in child["metadata"]
        and _is_named_as_labelled(child["metadata"])
    ]
    return tuple(sorted(found, key=lambda revision: revision.number, reverse=True))


def _is_named_as_labelled(meta: Object) -> bool:
    """Return whether the label is there that names the revision: admission, or somebody, may have changed it."""
    label = meta.get("labels", {}).get(REVISION_LABEL, "")
    return bool(label) and str(meta["name"]).endswith(f"-{label}")


def find_revision(
    model: ModelDeployment, inputs: InputHashes, choice: Choice, revisions: Sequence[Revision]
) -> Revision | None:
    """Return the revision that these very inputs led to last: then there is nothing to ask and nothing to render.

    A revision over the namespace's backends stays when they are gone; one over the pod's own store ends when a backend comes
    and can take the model, because pinning is required as soon as it is possible.
    """
    if wants_restart(model, revisions):
        return None
    own_too = not choice.from_namespace or (choice.fallback and not choice.ready)

    def answers(revision: Revision) -> bool:
        hashes = _forms(inputs, revision)
        return any(revision.inputs == one.namespace or (own_too and revision.inputs == one.own) for one in hashes)

    exact = next((revision for revision in revisions if answers(revision)), None)
    return exact or _find_by_order(model, inputs, choice, revisions)


def _find_by_order(
    model: ModelDeployment, inputs: InputHashes, choice: Choice, revisions: Sequence[Revision]
) -> Revision | None:
    """Return the revision that has just the backends that are wanted now, in order, said another way.

    To name the backends of the namespace that are used already, or to name none again where the namespace has just these,
    replaces no pod. What led to it is from then on what is said now.
    """
    if not choice.order:
        return None
    other = hash_inputs(naming(model.spec, choice.order if choice.from_namespace else ()))

    def answers(revision: Revision) -> bool:
        forms = _forms(other, revision)
        said = any(revision.inputs == (one.own if choice.from_namespace else one.namespace) for one in forms)
        return said and backend_order(revision.config) == choice.order

    found = next((revision for revision in revisions if answers(revision)), None)
    if found is None:
        return None
    now = _forms(inputs, found)[0]
    return replace(found, inputs=now.over(namespace_backends=choice.from_namespace))


def _forms(inputs: InputHashes, revision: Revision) -> tuple[Hashes, ...]:
    return inputs.first_forms if revision.is_first_form else (inputs,)


def find_source(inputs: InputHashes, revisions: Iterable[Revision]) -> SourceFacts | None:
    """Return what the same words about the source led to before: another image or dtype must not move the commit."""
    return next((revision.source for revision in revisions if revision.asked == inputs.source), None)


def wants_restart(model: ModelDeployment, revisions: Sequence[Revision]) -> bool:
    """Return whether a restart is asked for that the current revision knows nothing of."""
    wish = restart_wish(model)
    return bool(wish and revisions and revisions[0].restart != wish)


def as_current(revision: Revision, model: ModelDeployment, revisions: Sequence[Revision]) -> Revision:
    """Return the revision with what makes it the current one: the highest number, and the wish for a restart as it is now."""
    newest = revisions[0]
    number = revision.number if revision.name == newest.name else newest.number + 1
    return replace(revision, number=number, restart=restart_wish(model) or newest.restart)


def served_name(model: ModelDeployment) -> str:
    """Return what requests call the model."""
    return model.spec.model.name or model.metadata.name


def cache_limit_bytes(model: ModelDeployment) -> int | None:
    """Return spec.storage.cache.sizeLimit in bytes, or None."""
    limit = model.spec.storage.cache.size_limit
    return int(parse_quantity(limit)) if limit else None
