"""On which nodes pods run, and before which others; what Kubernetes alone knows the rules of is passed through to it."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from .base import (
    ATOMIC,
    LABEL_VALUE_PATTERN,
    NO_PREFIX_PATTERN,
    QUALIFIED_NAME_PATTERN,
    ApiModel,
    list_map,
    qualified_keys,
    rules,
)
from .references import OBJECT_NAME

SPREAD_RULES = rules(
    (
        "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
        "minDomains needs whenUnsatisfiable DoNotSchedule",
    ),
    (  # what selects a deployment's own pods stands in for a selector that is not given
        "!has(self.matchLabelKeys) || self.matchLabelKeys.all(key, !(key in (has(self.labelSelector) ? "
        "(has(self.labelSelector.matchLabels) ? self.labelSelector.matchLabels : {}) : "
        "{'app.kubernetes.io/name': '', 'pinion.dev/deployment': ''})))",
        "matchLabelKeys must not repeat a label that pods are selected by already",
    ),
)
PRIORITY_RULES = rules(
    ("!self.startsWith('system-')", "priorityClassName must not begin with system-: these classes are the cluster's own")
)
KEY_RULES = rules((f"!self.matches('{NO_PREFIX_PATTERN}')", "what stands before '/' must be the name of a domain"))

PRESERVED = {"x-kubernetes-preserve-unknown-fields": True}
Key = Annotated[str, Field(min_length=1, max_length=317, pattern=QUALIFIED_NAME_PATTERN, json_schema_extra=KEY_RULES)]
Value = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]
Selector = Annotated[
    dict[Annotated[str, Field(max_length=317)], Value], Field(max_length=16, json_schema_extra=qualified_keys("labels"))
]
Passed = Annotated[dict[str, Any], Field(json_schema_extra=PRESERVED)]
PriorityClassName = Annotated[str, Field(max_length=253, pattern=f"^({OBJECT_NAME})?$", json_schema_extra=PRIORITY_RULES)]
# Objects as Kubernetes defines them: it judges them, in a dry run of the pod's owner.
Affinity = Annotated[dict[str, Any], Field(json_schema_extra=PRESERVED)]
Tolerations = Annotated[tuple[Passed, ...], Field(max_length=16, json_schema_extra=ATOMIC)]


class LabelSelector(ApiModel):
    """Pods by label."""

    match_labels: Annotated[
        dict[Annotated[str, Field(max_length=317)], Value], Field(max_length=4, json_schema_extra=qualified_keys("labels"))
    ] = Field(default_factory=dict)
    """All of these."""


class SpreadConstraint(ApiModel):
    """How evenly pods are spread."""

    model_config = ConfigDict(json_schema_extra=SPREAD_RULES)

    max_skew: Annotated[int, Field(ge=1, le=1000)]
    """By how many pods domains may differ."""
    topology_key: Key
    """The label of nodes that makes a domain, for example topology.kubernetes.io/zone."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """DoNotSchedule: a pod waits rather than break it."""
    label_selector: LabelSelector | None = None
    """Which pods are counted. Without it, those of this deployment."""
    match_label_keys: Annotated[tuple[Key, ...], Field(max_length=4, json_schema_extra=ATOMIC)] = ()
    """Labels by which only pods with the same values are counted: with pod-template-hash, each revision is spread by itself."""
    min_domains: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Fewer domains than this count as further ones without pods."""
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes that affinity and nodeSelector leave out count as domains."""
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes with taints that are not tolerated count as domains."""


SpreadConstraints = Annotated[
    tuple[SpreadConstraint, ...], Field(max_length=4, json_schema_extra=list_map("topologyKey", "whenUnsatisfiable"))
]
