"""A revision: rendered once, kept in a ControllerRevision, applied from there word for word."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pinion_contract.config import HuggingFaceSource, KuboBackend, RuntimeConfig, Warmup

from ..api.modeldeployment import ModelDeployment
from ..resources.controllerrevision import build_controller_revision
from ..resources.kinds import CONTROLLERREVISION, Object
from ..resources.model_names import SOURCE_ANNOTATION
from ..resources.names import INPUTS_ANNOTATION, REVISION_LABEL, kubo_gateway_url, kubo_rpc_url
from ..resources.podtemplate import PodSettings, build_pod_template, token_path
from .backends import Choice
from .inputs import inputs_hash, revision_name, source_hash
from .observed import Observed, SourceFacts
from .quantity import parse_quantity


@dataclass(frozen=True)
class Revision:
    """What is kept of one revision."""

    name: str
    number: int  # grows with each revision that is made
    inputs: str  # hash of the user's inputs that led here last
    asked: str  # hash of what they say about the source
    generation: int  # metadata.generation that it was made for
    created_at: str  # RFC 3339; "" while the API server has not seen it
    config: str  # the JSON text of RuntimeConfig
    config_digest: str
    template: Object
    source: SourceFacts
    backends: tuple[str, ...]
    from_namespace: bool  # the backends were the namespace's, none was named

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
            generation=data["generation"],
            created_at=meta.get("creationTimestamp", ""),
            config=data["config"],
            config_digest=data["configDigest"],
            template=data["template"],
            source=SourceFacts(source["commit"], source["sourceDigest"], source["totalBytes"], source["fileCount"]),
            backends=tuple(data["backends"]),
            from_namespace=data["fromNamespace"],
        )

    def to_object(self, owner: Object) -> dict[str, Any]:
        """Return the ControllerRevision to create; with other `inputs`, the one to apply."""
        data = {
            "generation": self.generation,
            "config": self.config,
            "configDigest": self.config_digest,
            "template": self.template,
            "source": {
                "commit": self.source.commit,
                "sourceDigest": self.source.source_digest,
                "totalBytes": self.source.total_bytes,
                "fileCount": self.source.file_count,
            },
            "backends": list(self.backends),
            "fromNamespace": self.from_namespace,
        }
        return build_controller_revision(owner, self.name, self.number, self.inputs, self.asked, data)


def revisions_of(children: Iterable[Object]) -> tuple[Revision, ...]:
    """Return the revisions among the children, newest first."""
    found = [
        Revision.from_object(child)
        for child in children
        if child["kind"] == CONTROLLERREVISION.name and "deletionTimestamp" not in child["metadata"]
    ]
    return tuple(sorted(found, key=lambda revision: revision.number, reverse=True))


def find_revision(model: ModelDeployment, choice: Choice, revisions: Iterable[Revision]) -> Revision | None:
    """Return the revision that these very inputs led to before: then there is nothing to ask and nothing to render.

    A revision over the namespace's backends stays when they are gone; one over the pod's own store ends when a backend comes,
    because pinning is required as soon as it is possible.
    """
    wanted = {inputs_hash(model.spec, namespace_backends=True)}
    if not choice.from_namespace:
        wanted.add(inputs_hash(model.spec, namespace_backends=False))
    return next((revision for revision in revisions if revision.inputs in wanted), None)


def find_source(model: ModelDeployment, revisions: Iterable[Revision]) -> SourceFacts | None:
    """Return what the same words about the source led to before: another image or dtype must not move the commit."""
    asked = source_hash(model.spec)
    return next((revision.source for revision in revisions if revision.asked == asked), None)


def render_revision(seen: Observed, model: ModelDeployment, choice: Choice, source: SourceFacts, number: int) -> Revision:
    """Return a new revision: the pod's configuration and template, from the spec, the defaults of today and the source."""
    spec, meta = model.spec, model.metadata
    name = revision_name(spec, source.source_digest, namespace_backends=choice.from_namespace)
    wanted = spec.model.source.hugging_face
    config = RuntimeConfig(
        namespace=meta.namespace,
        deployment=meta.name,
        deployment_uid=meta.uid,
        revision=name,
        model_name=spec.model.name or meta.name,
        source=HuggingFaceSource(
            repo=wanted.repo,
            revision=wanted.revision,
            commit=source.commit,
            endpoint=wanted.endpoint or seen.hub_endpoint,
            allow_patterns=wanted.allow_patterns,
            ignore_patterns=wanted.ignore_patterns,
            source_digest=source.source_digest,
        ),
        expected_cid=spec.model.expected.cid if spec.model.expected else "",
        backends=tuple(
            KuboBackend(
                name=backend,
                rpc_url=kubo_rpc_url(backend, meta.namespace),
                gateway_url=kubo_gateway_url(backend, meta.namespace),
                token_file=token_path(backend),
            )
            for backend in choice.names
        ),
        pinning=spec.storage.pinning,
        cache_limit_bytes=cache_limit_bytes(model) or 0,
        dtype=spec.runtime.dtype,
        warmup=Warmup(enabled=spec.warmup.enabled, inputs=spec.warmup.inputs, timeout_seconds=spec.warmup.timeout_seconds),
        termination_grace_period_seconds=spec.termination_grace_period_seconds,
    )
    template = build_pod_template(
        PodSettings(
            deployment=meta.name,
            revision=name,
            image=spec.runtime.image or seen.runtime_image,
            image_pull_policy=spec.runtime.image_pull_policy,
            resources=spec.runtime.resources.model_dump(mode="json", exclude_defaults=True),
            cache_limit=spec.storage.cache.size_limit,
            backends=choice.names,
            termination_grace_period_seconds=spec.termination_grace_period_seconds,
        )
    )
    return Revision(
        name=name,
        number=number,
        inputs=inputs_hash(spec, namespace_backends=choice.from_namespace),
        asked=source_hash(spec),
        generation=meta.generation,
        created_at="",
        config=config.model_dump_json(by_alias=True),
        config_digest=config.digest(),
        template=template,
        source=source,
        backends=choice.names,
        from_namespace=choice.from_namespace,
    )


def cache_limit_bytes(model: ModelDeployment) -> int | None:
    """Return spec.storage.cache.sizeLimit in bytes, or None."""
    limit = model.spec.storage.cache.size_limit
    return int(parse_quantity(limit)) if limit else None
