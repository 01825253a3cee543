"""Whether what we would apply is there already, and in what it differs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from .quantity import parse_quantity

Path = tuple[str, ...]  # names of fields; an item of a list is `[its key]`, or `[its place]`

# Lists that the API server merges by these fields of their items; any other list is one value, which belongs to one writer.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "mutatedChildren": ("child",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port", "protocol"),
    "revisions": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
# Mappings that belong to one writer: one more label in a selector selects other pods.
_WHOLE = frozenset({"selector", "podSelector", "namespaceSelector", "nodeSelector", "matchLabels"})
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*|\[.*\]")


class Difference(NamedTuple):
    """One field that is not as we want it."""

    path: Path
    wanted: Any  # None: nothing
    got: Any  # None: it is not there

    @property
    def field(self) -> str:
        """Return the path as one word: `spec.template.spec.containers[runtime].image`."""
        return field_name(self.path)


def covers(have: Any, want: Any) -> bool:
    """Return whether every field of `want` is in `have`, as `differences` compares them."""
    return next(differences(have, want), None) is None


def differences(have: Any, want: Any) -> Iterator[Difference]:
    """Yield the fields of `want` that `have` does not hold.

    What others added beside ours, or the server defaulted, does not count: a field, or an item of a list that is merged by key.
    Quantities are compared as numbers, because the server writes them its own way (`1000m` comes back as `1`).
    """
    return _compare(have, want, (), merged=True)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all values in `value`, which is at `path`; an empty mapping or list is a value."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif _is_list(value) and value:
        keys = _KEYS.get(path[-1], ()) if path else ()
        for index, item in enumerate(value):
            key = _key(item, keys) if isinstance(item, Mapping) else ""
            yield from leaves(item, (*path, f"[{key or index}]"))
    else:
        yield path


def field_name(path: Path) -> str:
    """Return a path as one word."""
    words = (part if _PLAIN.fullmatch(part) else f"[{part}]" for part in path)
    return "".join(word if word.startswith("[") else f".{word}" for word in words).lstrip(".")


def _compare(have: Any, want: Any, path: Path, *, merged: bool) -> Iterator[Difference]:
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        for name, value in want.items():
            if name in have:
                yield from _compare(have[name], value, (*path, name), merged=merged)
            else:
                yield Difference((*path, name), value, None)
        if path and path[-1] in _WHOLE:
            yield from (Difference((*path, name), None, value) for name, value in have.items() if name not in want)
    elif _is_list(want) and _is_list(have):
        keys = _KEYS.get(path[-1]) if path and merged else None
        if keys and all(isinstance(item, Mapping) for item in (*have, *want)):
            yield from _compare_merged(have, want, path, keys)
        elif len(have) != len(want):
            yield Difference(path, want, have)
        else:
            for index, (theirs, ours) in enumerate(zip(have, want, strict=True)):
                yield from _compare(theirs, ours, (*path, f"[{index}]"), merged=False)
    elif not (have == want or _equal_quantities(have, want)):
        yield Difference(path, want, have)


def _compare_merged(
    have: Sequence[Mapping[str, Any]], want: Sequence[Mapping[str, Any]], path: Path, keys: tuple[str, ...]
) -> Iterator[Difference]:
    theirs = {_key(item, keys): item for item in have}
    for item in want:
        key = _key(item, keys)
        if key in theirs:
            yield from _compare(theirs[key], item, (*path, f"[{key}]"), merged=True)
        else:
            yield Difference((*path, f"[{key}]"), item, None)


def _key(item: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return "/".join(str(item[name]) for name in keys if name in item)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _equal_quantities(have: Any, want: Any) -> bool:
    number = _number(want)
    return number is not None and _number(have) == number


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        return parse_quantity(str(value))
    except ValueError:
        return None
