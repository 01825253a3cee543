"""How many prompts one request may have: as many as the queue takes beside what is generated, and never a 429 without end."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.decoders import make_decoder
from tests.support.hub import Hub
from tests.support.serve import Serve, Served

pytestmark = pytest.mark.model

NAME, SEQUENCES, WAITING = "limited", 2, 3


@pytest.fixture(scope="module")
def served(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    starter = Serve(hub, tmp_path_factory.mktemp("serve"), tmp_path_factory.mktemp("cache"))
    folder = make_decoder(tmp_path_factory.mktemp("decoder") / NAME, "llama")
    try:
        running = starter.local(str(folder), NAME, "--max-sequences", str(SEQUENCES), "--max-queued-requests", str(WAITING))
        running.wait_ready()
        yield running
    finally:
        starter.stop_all()


def ask(served: Served, prompts: int, **fields: Any) -> httpx.Response:
    asked = {"model": NAME, "prompt": [[5 + number, 6, 7] for number in range(prompts)], "max_tokens": 4, "temperature": 0}
    return served.post({**asked, **fields}, path="/v1/completions")


def test_as_many_prompts_as_fit_are_answered_in_their_order(served: Served) -> None:
    found = ask(served, SEQUENCES + WAITING).json()["choices"]
    alone = [ask(served, number + 1).json()["choices"][-1]["text"] for number in range(SEQUENCES)]
    assert [choice["index"] for choice in found] == list(range(SEQUENCES + WAITING))
    assert [choice["text"] for choice in found[:SEQUENCES]] == alone


@pytest.mark.parametrize(
    ("prompts", "fields", "fit"),
    [
        (SEQUENCES + WAITING + 1, {}, SEQUENCES + WAITING),
        (SEQUENCES + WAITING + 1, {"stream": True}, SEQUENCES + WAITING),
        (SEQUENCES // 2 + WAITING + 1, {"n": 2}, SEQUENCES // 2 + WAITING),
    ],
)
def test_more_never_fit_and_that_is_told(served: Served, prompts: int, fields: dict[str, Any], fit: int) -> None:
    answer = ask(served, prompts, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (413, "prompt"), error
    assert f"{prompts} prompts in one request are more than the {fit} that the whole queue takes" in error["message"]
    assert "retry-after" not in answer.headers


def test_prompts_without_answers_take_no_room(served: Served) -> None:
    answer = ask(served, 20, max_tokens=0, echo=True)
    assert (answer.status_code, len(answer.json()["choices"])) == (200, 20), answer.text
