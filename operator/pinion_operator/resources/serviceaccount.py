"""The identity of runtime pods: one of their own, without rights and without a token."""

from typing import Any

from .kinds import SERVICEACCOUNT, Object
from .model_names import selector_labels, service_account_name
from .owner import build_child


def build_service_account(owner: Object) -> dict[str, Any]:
    """Return the ServiceAccount."""
    name = owner["metadata"]["name"]
    return build_child(
        owner,
        SERVICEACCOUNT.api_version,
        SERVICEACCOUNT.name,
        service_account_name(name),
        {"automountServiceAccountToken": False},
        labels=selector_labels(name),
    )
