"""What the hub says of a source: an answer that never changes, a refusal, or nothing yet."""

from dataclasses import dataclass

from ...conditions import Reason


@dataclass(frozen=True)
class SourceFacts:
    """A resolved source: it never changes."""

    commit: str
    source_digest: str
    total_bytes: int
    file_count: int
    selection_rule: int = 1  # by which the files were chosen; those of a source that is learned now are chosen by the newest
    unsupported: str = ""  # why these files can't be served, of a branch that has moved to them


@dataclass(frozen=True)
class Unresolved:
    """The hub was asked and the answer is no, or there was none; or it was not asked."""

    reason: Reason  # SourceNotFound, Unauthorized, UnsupportedModel, OriginRateLimited, OriginUnreachable
    message: str
    final: bool  # another answer only after somebody acts; asked again slowly all the same
    again_in: float  # seconds until the hub is asked again
    asked: bool = True  # False: we do not ask, or, where who named the hub must not learn which, there was no answer


@dataclass(frozen=True)
class Asking:
    """The hub has been asked and has not answered yet."""


Resolution = SourceFacts | Unresolved | Asking
