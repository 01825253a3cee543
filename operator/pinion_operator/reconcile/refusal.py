"""A child that the API server did not accept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """The API server has answered that it does not accept a child as we want it."""

    digest: str  # of the child: another one may be accepted
    message: str
    again: bool = False  # long enough ago to try the same once more: what refused it may have changed
