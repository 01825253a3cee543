"""Names of other objects of the same namespace, and keys in them, as Kubernetes lets such objects have them."""

from typing import Annotated

from pydantic import Field

from .base import rules

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
OBJECT_NAME = f"{_LABEL}([.]{_LABEL})*"
KEY_RULES = rules(
    (
        "self != '.' && !self.startsWith('..')",
        "no Secret and no ConfigMap has such a key: neither '.', nor one that begins with '..'",
    )
)

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=f"^{OBJECT_NAME}$")]
OptionalName = Annotated[str, Field(max_length=253, pattern=f"^({OBJECT_NAME})?$")]
Key = Annotated[str, Field(min_length=1, max_length=253, pattern="^[-._a-zA-Z0-9]+$", json_schema_extra=KEY_RULES)]
