"""Arguments of the model server that a user may add: those that neither move a port nor take away its configuration."""

from typing import Annotated

from pydantic import Field

from .base import ATOMIC, rules

DRAIN = "--drain-seconds="
ARGUMENT_RULES = rules(
    (
        "self.matches('^--(drain|live)-seconds=[0-9]{1,4}([.][0-9]{1,3})?$')",
        "args may hold --drain-seconds=S and --live-seconds=S: ports, addresses, files and the model are not theirs to say",
    ),
    (
        "!self.matches('^--live-seconds=[0-9]{1,4}([.][0-9]{1,3})?$') || "
        "double(self.split('=')[1]) >= 0.1 && double(self.split('=')[1]) <= 60.0",
        "--live-seconds must be from 0.1 to 60: so late pods hear of the CID and of new limits",
    ),
)
ARGUMENTS_RULES = rules(
    (
        "self.all(one, self.exists_one(other, other.split('=')[0] == one.split('=')[0]))",
        "args must not hold the same flag twice",
    )
)
DRAIN_RULE = (
    f"!has(self.runtime.args) || self.runtime.args.all(one, !one.matches('^{DRAIN}[0-9.]+$') || double(one.split('=')[1]) <= "
    "double(self.terminationGracePeriodSeconds - self.limits.requestTimeoutSeconds - 15))",
    "terminationGracePeriodSeconds must be at least limits.requestTimeoutSeconds + 15 + --drain-seconds of runtime.args",
)

Argument = Annotated[str, Field(min_length=1, max_length=64, json_schema_extra=ARGUMENT_RULES)]
Arguments = Annotated[tuple[Argument, ...], Field(max_length=4, json_schema_extra={**ATOMIC, **ARGUMENTS_RULES})]
