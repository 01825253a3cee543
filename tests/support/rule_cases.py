"""A field of an object, what the API server takes in it and what it refuses, and a part of what it says then."""

from collections.abc import Callable
from typing import Any

from tests.support.manifests import with_value

Submit = Callable[[dict[str, Any]], dict[str, Any] | str]
Case = tuple[dict[str, Any], str, list[Any], list[Any], str]  # object, path, accepted, refused, a part of the message


def ids_of(cases: list[Case]) -> list[str]:
    """Return a name for each case."""
    return [f"{at}-{base['kind']}-{path}" for at, (base, path, *_) in enumerate(cases)]


def check_case(submit: Submit, case: Case) -> None:
    """Show each value to the API server."""
    base, path, accepted, refused, message = case
    for value in accepted:
        answer = submit(with_value(base, path, value))
        assert isinstance(answer, dict), f"{value!r}: {answer}"
    for value in refused:
        answer = submit(with_value(base, path, value))
        assert isinstance(answer, str), f"{value!r} was accepted"
        assert message in answer, f"{value!r}: {answer}"
