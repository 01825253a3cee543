"""A child that the API server did not accept, or made something else of."""

from dataclasses import dataclass

from ..conditions import Reason
from ..resources.kinds import Ref


@dataclass(frozen=True)
class Refusal:
    """The API server has answered that it does not accept a child as we want it, or has not kept it as it must be."""

    digest: str  # of the child: another one may be accepted
    message: str
    again: bool = False  # long enough ago to try the same once more: what refused it may have changed
    reason: Reason = Reason.INVALID_SPEC  # AdmissionConflict: accepted, and changed where nothing else may decide

    def explain(self, ref: Ref) -> str:
        """Return a sentence about the child."""
        if self.reason == Reason.ADMISSION_CONFLICT:
            return f"admission changed {ref.kind.name} {ref.name} where it must not: {self.message}"
        return f"the API server refuses {ref.kind.name} {ref.name}: {self.message}"
