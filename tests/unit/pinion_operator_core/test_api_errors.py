"""What an answer of the API server means for us."""

import pytest

from pinion_operator.cluster.errors import ForbiddenError, RefusedError, ServerError, ThrottledError, error_for

UNFIT = "failed to create typed patch object (t/d; apps/v1, Kind=Deployment): .spec.affinity.x: field not declared in schema"


@pytest.mark.parametrize(
    ("status", "message", "type_", "transient"),
    [
        (422, "is invalid", RefusedError, False),
        (500, UNFIT, RefusedError, False),
        (500, "etcdserver: request timed out", ServerError, True),
        (503, UNFIT, ServerError, True),
        (403, "forbidden", ForbiddenError, True),
        (429, "later", ThrottledError, True),
    ],
)
def test_the_error_of_a_status(status: int, message: str, type_: type[Exception], transient: bool) -> None:
    error = error_for(status, message)
    assert type(error) is type_
    assert (error.status, error.transient, str(error)) == (status, transient, message)
