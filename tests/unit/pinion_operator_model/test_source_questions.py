"""Asking the hub: what its errors mean, and that nobody waits for it."""

import asyncio

import pytest

from pinion_ipfs.errors import (
    ContentError,
    DownloadFailed,
    NoAnswer,
    OriginRateLimited,
    OriginUnreachable,
    SourceNotFound,
    TokenRefused,
    Unauthorized,
    UnsupportedModel,
)
from pinion_operator.conditions import Reason
from pinion_operator.controller.model.resolutions import Resolutions
from pinion_operator.probes.hub import FINAL_AGAIN, LONGEST, to_unresolved
from pinion_operator.probes.reach import hub_policy, policy_of
from pinion_operator.reconcile.model.source import Asking, Resolution, SourceFacts, Unresolved
from tests.support.environment import environment

KEY = ("ml", "minilm")
FACTS = SourceFacts("1" * 40, "d" * 64, 100, 3)

MEANINGS: dict[str, tuple[ContentError, int, str, bool, float]] = {
    "no such repository": (SourceNotFound("x"), 0, "SourceNotFound", True, FINAL_AGAIN),
    "gated": (Unauthorized("x"), 5, "Unauthorized", True, FINAL_AGAIN),
    "a token that is not sent there": (TokenRefused("x"), 5, "Unauthorized", True, FINAL_AGAIN),
    "no model that an engine loads": (UnsupportedModel("x"), 0, "UnsupportedModel", True, FINAL_AGAIN),
    "no answer": (OriginUnreachable("x"), 0, "OriginUnreachable", False, 2.0),
    "a stranger's hub": (NoAnswer("x"), 0, "OriginUnreachable", False, 2.0),
    "no answer for the third time": (OriginUnreachable("x"), 2, "OriginUnreachable", False, 8.0),
    "no answer for an hour": (OriginUnreachable("x"), 500, "OriginUnreachable", False, LONGEST),
    "something else": (DownloadFailed("x"), 0, "OriginUnreachable", False, 2.0),
    "too many requests": (OriginRateLimited("x", retry_after=90), 0, "OriginRateLimited", False, 90.0),
    "too many requests, and no time named": (OriginRateLimited("x"), 1, "OriginRateLimited", False, 4.0),
}


@pytest.mark.parametrize(("error", "attempt", "reason", "final", "again"), MEANINGS.values(), ids=MEANINGS.keys())
def test_what_an_error_of_the_hub_means(error: ContentError, attempt: int, reason: str, final: bool, again: float) -> None:
    meant = to_unresolved(error, attempt)
    assert (meant.reason, meant.final, meant.again_in, meant.message) == (reason, final, again, "x")


@pytest.mark.parametrize(
    ("error", "asked"),
    [(NoAnswer("x"), False), (TokenRefused("x"), False), (OriginUnreachable("x"), True), (Unauthorized("x"), True)],
)
def test_what_was_not_asked_or_must_not_be_told_apart_from_that(error: ContentError, asked: bool) -> None:
    assert to_unresolved(error, 0).asked is asked


@pytest.mark.parametrize(
    ("endpoint", "own", "judged"),
    [
        ("", "http://hub.svc", False),
        ("http://hub.svc", "http://hub.svc", False),
        ("http://hub.svc/", "http://hub.svc", False),
        ("https://huggingface.co", "", False),
        ("http://hub.svc:8080", "http://hub.svc", True),
        ("http://hub.svc/other", "http://hub.svc", True),
        ("https://huggingface.co", "http://hub.svc", True),
    ],
)
def test_only_the_operators_own_hub_is_asked_wherever_it_is(endpoint: str, own: str, judged: bool) -> None:
    with environment(HF_ENDPOINT=None):
        assert hub_policy(endpoint, own, ()) == (policy_of(()) if judged else None)


class Asked:
    """A hub whose answers the test gives, and who was told of them."""

    def __init__(self, *answers: SourceFacts | Unresolved | Exception) -> None:
        self.answers, self.attempts = list(answers), list[int]()
        self.resolutions, self.woken = Resolutions(), asyncio.Event()

    async def probe(self, attempt: int) -> SourceFacts | Unresolved:
        self.attempts.append(attempt)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def look(self, asked: str = "main") -> Resolution:
        return self.resolutions.look(KEY, asked, self.probe, self.woken.set)

    async def wait(self) -> None:
        async with asyncio.timeout(5):
            await self.woken.wait()
        self.woken.clear()
        await asyncio.sleep(0)


def away(again_in: float) -> Unresolved:
    return Unresolved(Reason.ORIGIN_UNREACHABLE, "away", final=False, again_in=again_in)


async def test_the_answer_wakes_and_stays() -> None:
    hub = Asked(FACTS)
    assert hub.look() == Asking()
    await hub.wait()
    assert hub.look() == hub.look() == FACTS
    assert hub.attempts == [0]


async def test_another_question_replaces_the_first() -> None:
    hub = Asked(FACTS)
    hub.look("main")
    assert hub.look("v2") == Asking()
    await hub.wait()
    assert hub.look("v2") == FACTS
    assert hub.attempts == [0], "the first was never put to the hub"


async def test_a_failure_stands_until_it_is_old_and_while_it_is_asked_again() -> None:
    hub = Asked(away(5.0), FACTS)
    hub.look()
    await hub.wait()
    first = hub.look()
    assert isinstance(first, Unresolved)
    assert 0 < first.again_in <= 5.0
    await asyncio.sleep(5.05)
    assert isinstance(hub.look(), Unresolved)
    await hub.wait()
    assert hub.look() == FACTS
    assert hub.attempts == [0, 1], "the second attempt knows of the first"


async def test_a_defect_is_raised_once_and_asked_again_after_it() -> None:
    hub = Asked(ZeroDivisionError("a defect"), FACTS)
    hub.look()
    await hub.wait()
    with pytest.raises(ZeroDivisionError):
        hub.look()
    assert hub.look() == Asking()
    await hub.wait()
    assert hub.look() == FACTS


async def test_what_is_forgotten_is_asked_anew() -> None:
    hub = Asked(FACTS, FACTS)
    hub.look()
    await hub.wait()
    hub.resolutions.forget(KEY)
    hub.resolutions.forget(KEY)
    assert hub.look() == Asking()
    await hub.wait()
