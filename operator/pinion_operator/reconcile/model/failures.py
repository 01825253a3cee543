"""What a pod's failure means for the deployment: whether anybody must act, and which condition tells it."""

from typing import NamedTuple

from pinion_contract.status import Failure, FailureReason

from ...conditions import ConditionType, Reason

LONGEST = 2000  # characters of a pod's message in a status


class Meaning(NamedTuple):
    """How a failure shows."""

    stalled: Reason  # when the pod has given up
    condition: ConditionType
    reason: Reason


_LOAD = Meaning(Reason.MODEL_LOAD_FAILED, ConditionType.WARM, Reason.MODEL_LOAD_FAILED)
_PINNED = ConditionType.ARTIFACT_PINNED
_VERIFIED = ConditionType.ARTIFACT_VERIFIED

MEANINGS = {
    FailureReason.SOURCE_NOT_FOUND: Meaning(Reason.SOURCE_NOT_FOUND, ConditionType.SOURCE_RESOLVED, Reason.SOURCE_NOT_FOUND),
    FailureReason.UNAUTHORIZED: Meaning(Reason.UNAUTHORIZED, ConditionType.SOURCE_RESOLVED, Reason.UNAUTHORIZED),
    FailureReason.ORIGIN_RATE_LIMITED: Meaning(Reason.FAILED, _PINNED, Reason.DOWNLOAD_FAILED),
    FailureReason.ORIGIN_UNREACHABLE: Meaning(Reason.FAILED, _PINNED, Reason.DOWNLOAD_FAILED),
    FailureReason.DOWNLOAD_FAILED: Meaning(Reason.FAILED, _PINNED, Reason.DOWNLOAD_FAILED),
    FailureReason.DOWNLOAD_STALLED: Meaning(Reason.FAILED, _PINNED, Reason.DOWNLOAD_STALLED),
    FailureReason.CID_MISMATCH: Meaning(Reason.INTEGRITY_FAILURE, _VERIFIED, Reason.CID_MISMATCH),
    FailureReason.DIGEST_MISMATCH: Meaning(Reason.INTEGRITY_FAILURE, _VERIFIED, Reason.DIGEST_MISMATCH),
    # Files that the content profile cannot address cannot be verified: the pod's message says what is wrong with them.
    FailureReason.UNSUPPORTED_DAG: Meaning(Reason.INTEGRITY_FAILURE, _VERIFIED, Reason.INTEGRITY_FAILURE),
    FailureReason.INSUFFICIENT_STORAGE: Meaning(Reason.INSUFFICIENT_STORAGE, _PINNED, Reason.INSUFFICIENT_STORAGE),
    FailureReason.BACKEND_UNAVAILABLE: Meaning(Reason.FAILED, _PINNED, Reason.BACKEND_UNAVAILABLE),
    FailureReason.PIN_FAILED: Meaning(Reason.FAILED, _PINNED, Reason.PIN_FAILED),
    FailureReason.UNSUPPORTED_MODEL: Meaning(Reason.UNSUPPORTED_MODEL, ConditionType.SOURCE_RESOLVED, Reason.UNSUPPORTED_MODEL),
    FailureReason.MODEL_LOAD_FAILED: _LOAD,
    FailureReason.ENGINE_DIED: _LOAD,
    FailureReason.WARMUP_FAILED: Meaning(Reason.MODEL_LOAD_FAILED, ConditionType.WARM, Reason.WARMUP_FAILED),
    FailureReason.INVALID_CONFIG: Meaning(Reason.INVALID_SPEC, ConditionType.WARM, Reason.INVALID_SPEC),
}


def explain(pod: str, failure: Failure) -> str:
    """Return a sentence about a failure: what, in which stage, of which pod, and the pod's own words."""
    again = "; it tries again" if failure.retrying else ""
    return f"pod {pod} failed at {failure.stage} with {failure.reason}{again}: {failure.message[:LONGEST]}"
