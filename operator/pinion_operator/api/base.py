"""What all custom resources share: the base model, metadata, conditions, and how a field declares what the schema must say."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Schema = dict[str, Any]  # JSON schema, or a part of one

GROUP = "pinion.dev"
VERSION = "v1alpha1"

# The directory root of a model is always dag-pb with sha2-256: one spelling for one address, so that strings can be compared.
CID_PATTERN = "^bafybei[a-h][a-z2-7]{50}[aeimquy4]$"
CID_V0_PATTERN = "^Qm[1-9A-HJ-NP-Za-km-z]{44}$"  # the same block in base58, as `ipfs add` prints it unless told otherwise


def rules(*rules: tuple[str, str]) -> Schema:
    """Return the schema part that holds CEL rules; each is (expression, message)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


def with_rules(part: Schema, *more: tuple[str, str]) -> Schema:
    """Return a schema part that has rules already, with further ones."""
    name = "x-kubernetes-validations"
    return {**part, name: [*part[name], *rules(*more)[name]]}


def cel_list(texts: Iterable[str]) -> str:
    """Return a list of strings for a CEL rule."""
    return "[" + ", ".join(f"'{text}'" for text in texts) + "]"


def list_map(*keys: str) -> Schema:
    """Return the schema part of a list whose items are told apart by `keys`: apply merges it, duplicates are refused."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


ATOMIC: Schema = {"x-kubernetes-list-type": "atomic"}  # a list that is replaced as a whole


def at_most_together(characters: int, what: str) -> Schema:
    """Return the schema part of a list of strings that share one bound: one long or many short ones.

    A whole object must fit into the annotation in which `kubectl apply` keeps it.
    """
    rule = f"self.map(text, size(text)).sum() <= {characters}"
    return ATOMIC | rules((rule, f"{what} must have at most {characters} characters together"))


Name = Annotated[str, Field(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Image = Annotated[str, Field(max_length=1024, pattern=r"^[A-Za-z0-9._:/@+\[\]-]*$")]  # characters alone; "" = a default
Text = Annotated[str, Field(max_length=32768)]
Short = Annotated[str, Field(max_length=1024)]
Count = Annotated[int, Field(ge=0)]
_PREFIX = "([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?"
QUALIFIED_NAME_PATTERN = f"^{_PREFIX}[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"  # of labels, annotations and resources
NO_PREFIX_PATTERN = "^[^/]*([.][.-]|-[.])[^/]*/"  # what the one before takes, and no name of a domain is
LABEL_VALUE_PATTERN = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


def qualified_keys(what: str) -> Schema:
    """Return the schema part of a map whose keys are names with an optional prefix, as labels have them."""
    rule = f"self.all(key, key.matches('{QUALIFIED_NAME_PATTERN}') && !key.matches('{NO_PREFIX_PATTERN}'))"
    return rules((rule, f"{what} must be names, with a prefix and '/' or without, for example example.org/name"))


class ApiModel(BaseModel):
    """A frozen part of a custom resource: snake_case here, camelCase in the API; what a newer schema adds is ignored."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )

    def to_object(self) -> dict[str, Any]:
        """Return what was set, as JSON values with the API's names."""
        return self.model_dump(mode="json", exclude_none=True, exclude_unset=True)


class Condition(ApiModel):
    """One aspect of an object's state, as in metav1.Condition."""

    model_config = ConfigDict(json_schema_extra={"required": ["type", "status", "reason", "lastTransitionTime"]})

    type: Annotated[str, Field(max_length=316)]
    """What the condition speaks about."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=128, pattern="^[A-Za-z][A-Za-z0-9_]*$")]
    """Why, in one word for programs."""
    message: Text = ""
    """Why, in a sentence for people."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that the condition was set for."""
    last_transition_time: Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})] | None = None
    """When `status` last changed. Absent in what decisions produce: the worker, which has a clock, adds it."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=32, json_schema_extra=list_map("type"))]


class MutatedChild(ApiModel):
    """A child that admission (a webhook, a policy) changed when it was applied, and that is left so."""

    child: Short
    """Kind and name."""
    wanted: Short
    """Digest of what was applied."""
    changes: Short
    """Digest of the values that came back instead."""
    message: Text = ""
    """Which fields are what, instead of what."""
    varying: Annotated[tuple[Short, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """Fields that came back with another value each time."""


MutatedChildren = Annotated[tuple[MutatedChild, ...], Field(max_length=32, json_schema_extra=list_map("child"))]


class Metadata(ApiModel):
    """The part of an object's metadata that decisions look at."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Resource(ApiModel):
    """A custom resource as the API server returns it."""

    metadata: Metadata

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """Return the parsed object; pydantic.ValidationError when it does not follow this version's schema."""
        return cls.model_validate(obj)

    @property
    def deleting(self) -> bool:
        """Whether deletion has been asked for."""
        return self.metadata.deletion_timestamp is not None


CHILD_NAME_RULES = rules(
    (
        "size(self.metadata.name) <= 40",
        "metadata.name must have at most 40 characters: children add a revision and a suffix to it",
    ),
    (
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name must start with a letter and hold only lower case letters, digits and '-': it names a Service",
    ),
)
