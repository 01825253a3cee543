"""Names of variables and prefixes of envFrom: every refused one, in every spelling, by a real API server."""

from typing import Any

import pytest

from pinion_operator.api.environment import READ_NAMES, REFUSED_ENDS, REFUSED_NAMES, REFUSED_STARTS
from tests.support.manifests import MODEL, with_value
from tests.support.rule_cases import Submit

pytestmark = pytest.mark.control_plane


def in_turn(name: str) -> str:
    """Return a name in lower and upper case by turns."""
    return "".join(letter.lower() if at % 2 else letter for at, letter in enumerate(name))


def refused_at(submit: Submit, field: str, items: list[dict[str, Any]], what: str) -> set[str]:
    """Return those of the items, by the text in `what`, that are refused; so many at once as one object may hold."""
    found, room = set(), {"env": 16, "envFrom": 4}[field]
    for start in range(0, len(items), room):
        part = items[start : start + room]
        answer = submit(with_value(MODEL, f"spec.runtime.{field}", part))
        if isinstance(answer, str):
            found |= {item[what] for at, item in enumerate(part) if f"spec.runtime.{field}[{at}].{what}:" in answer}
    return found


REFUSED = [
    *(f"{start}X" for start in REFUSED_STARTS),
    *(f"X{end}" for end in REFUSED_ENDS),
    *REFUSED_ENDS,
    *REFUSED_NAMES,
    *READ_NAMES,
    "HF_TOKEN",
    "HF_HOME",
    "PINION_X",
    "IPFS_PATH",
    "KUBO_API",
    "LD_PRELOAD",
    "PYTHONPATH",
    "SSL_CERT_FILE",
    "TORCHINDUCTOR_CACHE_DIR",
]


def test_variables_that_are_not_a_users(submit: Submit) -> None:
    names = list(dict.fromkeys(spelling for name in REFUSED for spelling in (name, name.lower(), in_turn(name))))
    assert refused_at(submit, "env", [{"name": name} for name in names], "name") == set(names)


def test_no_prefix_can_make_one_of_them(submit: Submit) -> None:
    """Each way to cut a refused name that a library reads in two; the second part is a key of somebody's Secret."""
    whole = [f"{start}X" for start in REFUSED_STARTS] + [*REFUSED_NAMES, *READ_NAMES]
    cuts = dict.fromkeys(name[:at] for name in whole for at in range(1, len(name)))
    prefixes = [spelling for cut in cuts for spelling in dict.fromkeys((cut, in_turn(cut)))]
    items = [{"prefix": prefix, "secretRef": {"name": "s"}} for prefix in prefixes]
    assert refused_at(submit, "envFrom", items, "prefix") == set(prefixes)


def test_other_prefixes_are_taken(submit: Submit) -> None:
    for prefix in ("APP_", "X", "PATH", "HOME", "TMPDIR", "MODEL_", "_X", "GOOGLE_", "http_proxy"):
        assert isinstance(
            submit(with_value(MODEL, "spec.runtime.envFrom", [{"prefix": prefix, "secretRef": {"name": "s"}}])), dict
        ), prefix
