"""Options that would do nothing beside another: they are refused, for whoever gives them means something. Pure."""

import argparse
from collections.abc import Mapping

from ..program.arguments import UsageError

# Of a command, by the option or argument that leaves others without effect.
TABLE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "add": {"--only-hash": ("--kubo-api",), "--store": ("--kubo-api",)},
    "fetch": {"--offline": ("--endpoint", "--xet")},
    "gc": {"--all": ("--low",)},
    "pin": {"--owner": ("--kubo-api",)},
    "serve": {"--orders": ("CID",)},
    "unpin": {"--owner": ("--kubo-api",)},
    "verify": {"CID": ("--root",)},
}
_ARGUMENTS = {("serve", "CID"): "roots", ("verify", "CID"): "against"}


def check(options: argparse.Namespace) -> None:
    """Raise UsageError for the first option that another leaves without effect."""
    for strong, weak in TABLE.get(options.name, {}).items():
        for option in weak:
            if _given(options, strong) and _given(options, option):
                raise UsageError(f"{options.name}: {option} has no effect beside {strong}: leave one of them out")


def _given(options: argparse.Namespace, option: str) -> bool:
    name = _ARGUMENTS.get((options.name, option)) or option.removeprefix("--").replace("-", "_")
    value = getattr(options, name)
    return value is not None and value is not False and value not in ("", [])  # 0 is given
