"""Who may ask: API keys for the inference port, and the network policy around the pods."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import ATOMIC, LABEL_VALUE_PATTERN, ApiModel, qualified_keys, rules, with_rules
from .references import KEY_RULES, ObjectName, OptionalName

AUTH_RULES = rules(
    (
        "!has(self.mode) || self.mode != 'APIKey' || has(self.secretRef.name) && self.secretRef.name != ''",
        "auth.mode APIKey needs auth.secretRef.name",
    ),
    (
        "has(self.mode) && self.mode == 'APIKey' || !has(self.secretRef) || !has(self.secretRef.name) || "
        "self.secretRef.name == ''",
        "auth.secretRef is of auth.mode APIKey: with mode None nobody would be asked for a key",
    ),
)
TOKEN_KEY_RULES = with_rules(
    KEY_RULES, ("self != 'hosts'", "key must not be hosts: under it the Secret says to whom its token may be sent")
)
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=16, json_schema_extra=qualified_keys("labels"))]


_COUNTED = "(has(one.{0}) && has(one.{0}.matchLabels) ? size(one.{0}.matchLabels) : 0)"
# Together, since a whole object must fit into the annotation in which `kubectl apply` keeps it.
_SELECTORS_RULES = rules(
    (
        f"self.map(one, {_COUNTED.format('namespaceSelector')} + {_COUNTED.format('podSelector')}).sum() <= 64",
        "allowFrom must have at most 64 labels together",
    )
)


class SecretRef(ApiModel):
    """A Secret of the same namespace."""

    name: OptionalName = ""
    """Name of the Secret."""


class SecretKeyRef(ApiModel):
    """One value in a Secret of the same namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[str, Field(max_length=253, pattern="^[-._a-zA-Z0-9]+$", json_schema_extra=TOKEN_KEY_RULES)] = "token"
    """Key of the value."""


class Auth(ApiModel):
    """Whether requests need a key."""

    model_config = ConfigDict(json_schema_extra=AUTH_RULES)

    mode: Literal["None", "APIKey"] = "None"
    """APIKey: every inference route asks for `Authorization: Bearer`, one key per client."""
    secret_ref: SecretRef = SecretRef()
    """The Secret with one entry per client: its name, and its key or `sha256:` and the key's hash.

    Read again without a restart.
    """


class Selector(ApiModel):
    """Labels that an object must carry."""

    match_labels: Labels = Field(default_factory=dict)
    """All of these."""


class AllowFrom(ApiModel):
    """Pods that may send requests."""

    namespace_selector: Selector | None = None
    """Namespaces by label; without it, the deployment's own."""
    pod_selector: Selector | None = None
    """Pods by label; without it, all."""


class NetworkPolicySpec(ApiModel):
    """Who reaches the pods, where the cluster enforces network policies."""

    enabled: bool = True
    """Whether a NetworkPolicy is made."""
    allow_from: Annotated[tuple[AllowFrom, ...], Field(max_length=16, json_schema_extra=ATOMIC | _SELECTORS_RULES)] = ()
    """Who may send requests, by at most 64 labels together. Empty: every pod of the namespace."""
