"""One receipt for what took many blocks: bounded, and it names all who served."""

import pytest

from pinion_ipfs.backends.base import Attempt, Receipt
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import BackendUnavailable
from pinion_ipfs.functions.receipts import MAX_ATTEMPTS, Gathered, collecting

ROOT = Cid.of_block(RAW, b"root")


def receipt_of(gathered: Gathered, error: Exception | None = None) -> Receipt:
    told: list[Receipt] = []
    with collecting(told.append):
        if error is None:
            with gathered.told():
                pass
        else:
            with pytest.raises(type(error)), gathered.told():
                raise error
    (receipt,) = told
    return receipt


def test_all_who_served_and_of_failures_the_first_of_a_kind() -> None:
    gathered = Gathered("get_to_path", ROOT)
    failed = tuple(Attempt("a", f"failure {number}", "BackendUnavailable") for number in range(2))
    gathered.take(Receipt("block_get", "a", "a", 0.1, 5))
    gathered.take(Receipt("block_get", "b", "a", 0.1, 6, attempts=failed))
    receipt = receipt_of(gathered)
    assert (receipt.operation, receipt.backend, receipt.preferred, receipt.degraded) == ("get_to_path", "a, b", "a", True)
    assert (receipt.bytes, receipt.cid, receipt.attempts) == (11, str(ROOT), failed[:1])


def test_its_attempts_have_a_bound() -> None:
    gathered = Gathered("get_to_path", ROOT)
    gathered.take(Receipt("block_get", "x", "x", 0.1, attempts=tuple(Attempt(str(n), "", "") for n in range(200))))
    assert MAX_ATTEMPTS == len(receipt_of(gathered).attempts) == 100


def test_an_error_is_told_as_well() -> None:
    receipt = receipt_of(Gathered("get_to_path", ROOT), BackendUnavailable("nobody"))
    assert (receipt.succeeded, receipt.error) == (False, "nobody")
