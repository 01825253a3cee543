"""Kubernetes label selectors, as metav1.LabelSelector has them."""

from collections.abc import Mapping
from typing import Any


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Return whether a selector selects what has these labels; an empty one selects all, None nothing.

    An operator that is not known selects: better to take somebody's object for one that concerns ours.
    """
    if selector is None:
        return False
    wanted = (selector.get("matchLabels") or {}).items()
    return wanted <= labels.items() and all(_holds(one, labels) for one in selector.get("matchExpressions") or ())


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return True
