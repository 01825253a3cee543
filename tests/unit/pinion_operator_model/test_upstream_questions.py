"""Asking where a branch is: not too often, at once when somebody wants it; no answer takes nothing away."""

import asyncio
import base64
from dataclasses import replace

import pytest

from pinion_operator.conditions import Reason
from pinion_operator.controller.model.upstreams import Upstreams
from pinion_operator.probes.tokens import Credential, read_hub_token, refusal
from pinion_operator.reconcile.model.source import SourceFacts, Unresolved

KEY = ("ml", "minilm")
OLD, NEW = SourceFacts("1" * 40, "d" * 64, 100, 3), SourceFacts("2" * 40, "e" * 64, 100, 3)
AWAY = Unresolved(Reason.ORIGIN_UNREACHABLE, "away", final=False, again_in=0.1)
LONG, SHORT = 3600.0, 0.05  # seconds between questions


class Asked:
    """A hub whose answers the test gives, and who was told of them."""

    def __init__(self, *answers: SourceFacts | Unresolved | Exception) -> None:
        self.answers, self.known = list(answers), list[SourceFacts]()
        self.upstreams, self.woken, self.asked = Upstreams(), asyncio.Event(), asyncio.Event()

    async def probe(self, known: SourceFacts) -> SourceFacts | Unresolved:
        self.known.append(known)
        self.asked.set()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def look(self, *, interval: float = LONG, asked: str = "main", wish: str = "") -> SourceFacts | None:
        return self.upstreams.look(KEY, asked, wish, OLD, interval, self.probe, self.woken.set)

    async def until(self, event: asyncio.Event, **how: float | str) -> None:
        """Look again and again, as the worker does, until something happens."""
        async with asyncio.timeout(20):
            while not event.is_set():
                self.look(**how)
                await asyncio.sleep(0.01)
        event.clear()


async def test_a_process_that_has_just_started_asks_nothing_at_first() -> None:
    hub = Asked()
    assert hub.look() is None
    await asyncio.sleep(0.05)
    assert (hub.look(), hub.known) == (None, [])


async def test_it_is_asked_when_it_is_time_and_told_what_is_known() -> None:
    hub = Asked(NEW)
    await hub.until(hub.woken, interval=SHORT)
    assert hub.look() == NEW
    assert hub.known == [OLD]


async def test_a_wish_is_asked_at_once_and_only_once() -> None:
    hub = Asked(NEW, AWAY)
    hub.look(wish="a")
    await hub.until(hub.woken, wish="b")
    assert hub.look(wish="b") == NEW
    assert len(hub.known) == 1


async def test_a_hub_that_asks_for_patience_gets_it() -> None:
    hub = Asked(replace(AWAY, again_in=LONG), NEW)
    await hub.until(hub.asked, interval=SHORT)
    await asyncio.sleep(3 * SHORT)
    assert (hub.look(interval=SHORT), len(hub.known)) == (None, 1)
    await hub.until(hub.woken, wish="but somebody wants it now")
    assert len(hub.known) == 2


async def test_a_shorter_interval_counts_at_once() -> None:
    hub = Asked(NEW)
    hub.look()
    await hub.until(hub.woken, interval=SHORT)
    assert hub.known == [OLD]


async def test_what_was_learned_another_way_is_not_asked_again_soon() -> None:
    hub = Asked()
    hub.upstreams.learned(KEY, "main", "", OLD, LONG)
    assert hub.look() == OLD
    hub.upstreams.learned(KEY, "main", "", NEW, LONG)
    assert hub.look() == OLD, "the resolution that led here is older than what was asked since"


async def test_no_answer_takes_nothing_away() -> None:
    hub = Asked(NEW, AWAY, NEW)
    await hub.until(hub.woken, interval=SHORT)
    hub.asked.clear()
    await hub.until(hub.asked, interval=SHORT)
    assert hub.look() == NEW
    assert hub.known[1] == NEW, "the same commit is not listed again"


async def test_a_question_that_we_do_not_ask_is_told_until_it_is_asked_again() -> None:
    ours = replace(AWAY, asked=False, message="ours")
    hub = Asked(NEW, ours, AWAY, ours, NEW)
    await hub.until(hub.woken, interval=SHORT)
    assert hub.upstreams.unasked(KEY) is None
    await hub.until(hub.woken, interval=SHORT)
    assert (hub.look(interval=SHORT), hub.upstreams.unasked(KEY)) == (NEW, ours), "what was known stands"
    await hub.until(hub.woken, interval=SHORT)
    assert hub.upstreams.unasked(KEY) is None, "asked, and no answer"
    await hub.until(hub.woken, interval=SHORT)
    assert hub.upstreams.unasked(KEY) == ours
    await hub.until(hub.woken, interval=SHORT)
    assert (hub.look(interval=SHORT), hub.upstreams.unasked(KEY)) == (NEW, None)
    hub.upstreams.forget(KEY)
    assert hub.upstreams.unasked(KEY) is None


async def test_another_branch_is_another_question() -> None:
    hub = Asked()
    hub.upstreams.learned(KEY, "main", "", OLD, LONG)
    assert hub.look(asked="v2") is None
    hub.upstreams.forget(KEY)
    hub.upstreams.forget(KEY)
    assert hub.look() is None


async def test_a_defect_is_raised_once() -> None:
    hub = Asked(ZeroDivisionError("a defect"))
    await hub.until(hub.asked, interval=SHORT)
    await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError):
        hub.look()
    assert hub.look() is None


def secret(**data: str) -> dict[str, object]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def read(found: dict[str, object] | None) -> Credential | Unresolved:
    return read_hub_token(found, "hub", "token", "ml", "http://hub.pinion-hub.svc")


def test_a_token_is_read_with_its_line_end_and_its_hosts() -> None:
    alone, listed = read(secret(token="hf_x\n")), read(secret(token="hf_x", hosts="a.example"))
    assert isinstance(alone, Credential)
    assert isinstance(listed, Credential)
    assert alone.token == listed.token == "hf_x"
    assert refusal(alone, "http://hub.pinion-hub.svc") == ""
    assert "so it goes to hub.pinion-hub.svc:80 alone" in refusal(alone, "https://a.example")
    assert refusal(listed, "https://a.example") == ""
    assert "its key `hosts` names others" in refusal(listed, "http://hub.pinion-hub.svc")
    assert "hf_x" not in repr(alone)


def test_hosts_that_are_no_text_name_nobody() -> None:
    found = read({"data": {"token": "aGZfeA==", "hosts": "/w=="}})
    assert isinstance(found, Credential)
    assert refusal(found, "http://hub.pinion-hub.svc")


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (None, "does not exist"),
        ({}, "no key 'token'"),
        (secret(other="hf_x"), "no key 'token'"),
        (secret(token=" \n"), "is not a token"),
        (secret(token="a\nb"), "is not a token"),
        (secret(token="ü"), "is not a token"),
        ({"data": {"token": "%"}}, "is not a token"),
    ],
)
def test_a_token_that_cannot_be_had_is_said_without_it(found: dict[str, object] | None, word: str) -> None:
    answer = read(found)
    assert isinstance(answer, Unresolved)
    assert (answer.reason, answer.final) == ("Unauthorized", True)
    assert word in answer.message
    assert "'hub'" in answer.message
