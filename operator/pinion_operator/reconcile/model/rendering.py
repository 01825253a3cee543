"""From the spec, the defaults of today and the source to a new revision: the pod's configuration and its template."""

from pinion_contract.config import (
    HubTokenRule,
    HuggingFaceSource,
    IpfsSource,
    Peers,
    RuntimeConfig,
    Warmup,
    config_digest,
)
from pinion_contract.names import API_KEYS_PATH, HUB_TOKEN_PATH, PEERS_PATH

from ...api.ipfsbackend import IpfsBackend
from ...api.modeldeployment import ModelDeployment
from ...api.source import Source
from ...resources.model_names import config_map_name, peers_host, peers_secret_name
from ...resources.pod_settings import TOKEN_KEY, PodSettings
from ...resources.pod_volumes import HOSTS_KEY
from ...resources.podtemplate import build_pod_template
from ..probes import to_times
from .annotations import restart_wish
from .backend_messages import claim_of, readable, secret_of, to_message
from .backends import Choice
from .cache import cache_claim, is_for_one_pod
from .named_tree import root_of
from .observed import Observed
from .pod_overrides import overrides_of
from .revision import Revision, cache_limit_bytes
from .scope import Scope
from .sizing import sized_resources
from .source import SourceFacts

HUB_TOKEN_FILE, PEERS_TOKEN_FILE = f"{HUB_TOKEN_PATH}/{TOKEN_KEY}", f"{PEERS_PATH}/{TOKEN_KEY}"
HUB_HOSTS_FILE = f"{HUB_TOKEN_PATH}/{HOSTS_KEY}"


def render_revision(seen: Observed, scope: Scope, source: SourceFacts, name: str, number: int) -> Revision:
    """Return a new revision."""
    model, choice = scope.model, scope.choice
    config = _config(seen, model, choice, source, name).model_dump_json(by_alias=True)
    digest = config_digest(config)
    config_map = config_map_name(model.metadata.name, name, digest)
    return Revision(
        name=name,
        number=number,
        inputs=scope.inputs.over(namespace_backends=choice.from_namespace),
        asked=scope.inputs.source,
        restart=restart_wish(model),
        generation=model.metadata.generation,
        created_at="",
        config=config,
        config_digest=digest,
        config_map=config_map,
        template=build_pod_template(_pod_settings(seen, model, choice, source, name, config_map)),
        source=source,
        backends=choice.names,
        from_namespace=choice.from_namespace,
        one_pod=is_for_one_pod(seen, model),
    )


def _config(seen: Observed, model: ModelDeployment, choice: Choice, source: SourceFacts, name: str) -> RuntimeConfig:
    spec, meta = model.spec, model.metadata
    return RuntimeConfig(
        namespace=meta.namespace,
        deployment=meta.name,
        revision=name,
        source=_source(seen, spec.model.source, source),
        backends=tuple(
            to_message(backend, allow_local_addresses=seen.allow_local_addresses) for backend in _chosen(seen, choice)
        ),
        fallback=spec.storage.fallback,
        peers=Peers(host=peers_host(meta.name, meta.namespace), token_file=PEERS_TOKEN_FILE),
        api_keys_dir=API_KEYS_PATH if spec.auth.mode == "APIKey" else "",
        pinning=spec.storage.pinning,
        cache_limit_bytes=cache_limit_bytes(model) or 0,
        task=spec.model.task or "auto",
        context_length=spec.runtime.context_length,
        max_sequences=spec.runtime.max_sequences,
        dtype=spec.runtime.dtype,
        warmup=Warmup(enabled=spec.warmup.enabled, inputs=spec.warmup.inputs, timeout_seconds=spec.warmup.timeout_seconds),
        termination_grace_period_seconds=spec.termination_grace_period_seconds,
    )


def _source(seen: Observed, said: Source, source: SourceFacts) -> HuggingFaceSource | IpfsSource:
    wanted = said.hugging_face
    if wanted is None:
        assert said.ipfs is not None, "the schema wants one of the two"
        return IpfsSource(cid=root_of(said.ipfs), path=said.ipfs.path)
    return HuggingFaceSource(
        repo=wanted.repo,
        revision=wanted.revision,
        commit=source.commit,
        endpoint=wanted.endpoint or seen.hub_endpoint,
        allow_patterns=wanted.allow_patterns,
        ignore_patterns=wanted.ignore_patterns,
        selection_rule=source.selection_rule,
        source_digest=source.source_digest,
        token_file=HUB_TOKEN_FILE if wanted.token_secret_ref else "",
        token_rule=HubTokenRule(
            secret=wanted.token_secret_ref.name if wanted.token_secret_ref else "",
            hosts_file=HUB_HOSTS_FILE if wanted.token_secret_ref else "",
            default_endpoint=seen.hub_endpoint,
        ),
        allow_local_addresses=seen.allow_local_addresses or not wanted.endpoint,
    )


def _pod_settings(
    seen: Observed, model: ModelDeployment, choice: Choice, source: SourceFacts, name: str, config_map: str
) -> PodSettings:
    spec, hub = model.spec, model.spec.model.source.hugging_face
    token = hub.token_secret_ref if hub else None
    backends = _chosen(seen, choice)
    return PodSettings(
        deployment=model.metadata.name,
        revision=name,
        config_map=config_map,
        peers_secret=peers_secret_name(model.metadata.name, model.metadata.uid),
        image=spec.runtime.image or seen.runtime_image,
        image_pull_policy=spec.runtime.image_pull_policy or seen.image_pull_policy,
        resources=sized_resources(spec.runtime.resources, source.total_bytes, spec.runtime.dtype, seen.limit_ranges),
        cache_limit=spec.storage.cache.size_limit,
        cache_claim=cache_claim(model),
        backend_secrets={one.metadata.name: secret for one in backends if (secret := secret_of(one))},
        shared_claims={one.metadata.name: claim for one in backends if (claim := claim_of(one))},
        api_keys_secret=spec.auth.secret_ref.name if spec.auth.mode == "APIKey" else "",
        hub_token_secret=token.name if token else "",
        hub_token_key=token.key if token else TOKEN_KEY,
        termination_grace_period_seconds=spec.termination_grace_period_seconds,
        resource_claims=tuple(claim.to_object() for claim in spec.pod.resource_claims),
        probes=to_times(spec.probes),
        image_pull_secrets=tuple(secret.name for secret in spec.pod.image_pull_secrets),
        platform=seen.platform,
        overrides=overrides_of(spec, seen.run_as),
    )


def _chosen(seen: Observed, choice: Choice) -> list[IpfsBackend]:
    """Return the backends to use, those that only deliver among them, in order."""
    known = readable(seen.backends)
    return [known[name] for name in choice.order if name in known]
