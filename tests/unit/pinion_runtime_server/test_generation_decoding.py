"""One answer from token ids to text: what is written, what ends it, and what its tokens' log-probabilities are called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.engines.protocol import Finish, Step, TokenLogprobs
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.server.tasks.generation.decoding import Decoding, Piece
from pinion_runtime.server.tasks.generation.options import GenerationOptions


@pytest.fixture(scope="module")
def tokenizer(minilm: Path) -> Tokenizer:
    return Tokenizer.from_snapshot(minilm)


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    (ids,) = tokenizer.encode([text])
    return ids[1:-1]  # without [CLS] and [SEP]


def decode(tokenizer: Tokenizer, steps: Sequence[tuple[Sequence[int], Finish]], **options: Any) -> list[Piece]:
    decoding = Decoding(3, ids_of(tokenizer, "a kettle"), GenerationOptions("m", **options), tokenizer)
    found = []
    for ids, finish in steps:
        assert not decoding.ended
        logprobs = (
            [TokenLogprobs(-0.5, [number, 1], [-0.5, -1.5]) for number in ids] if options.get("logprobs", -1) >= 0 else []
        )
        found.append(decoding.take(Step(1, ids=int32_bytes(ids), logprobs=logprobs, finish=finish)))
        if decoding.ended:
            break
    assert decoding.tokens == sum(len(ids) for ids, _ in steps[: len(found)])
    return found


def each(tokenizer: Tokenizer, text: str, finish: Finish = "length") -> list[tuple[Sequence[int], Finish]]:
    ids = ids_of(tokenizer, text)
    return [([number], finish if place == len(ids) - 1 else "") for place, number in enumerate(ids)]


def test_pieces_join_to_the_text_and_the_last_says_why(tokenizer: Tokenizer) -> None:
    pieces = decode(tokenizer, each(tokenizer, "heron stands in the river"))
    assert "".join(piece.text for piece in pieces) == " heron stands in the river"
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["length"]
    assert {piece.choice for piece in pieces} == {3}


@pytest.mark.parametrize("stop", [(), ("in the sea",)], ids=["", "held back for a stop string"])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_token_is_where_its_text_is_however_the_text_comes(
    tokenizer: Tokenizer, at_once: bool, stop: tuple[str, ...]
) -> None:
    """A token alone may have other characters than it brings: a space before it, marks that join it to the one before."""
    steps = each(tokenizer, "heron stands embedded in the river")
    brought = [piece.text for piece in decode(tokenizer, steps)]
    if at_once:
        steps = [([number for ids, _ in steps for number in ids], "length")]
    told = [token.offset for piece in decode(tokenizer, steps, stop=stop, logprobs=0) for token in piece.logprobs or ()]
    assert told == [len("".join(brought[:place])) for place in range(len(brought))]


def test_what_ended_an_answer_is_no_part_of_it(tokenizer: Tokenizer) -> None:
    pieces = decode(tokenizer, each(tokenizer, "heron stands river", "stop"))
    assert "".join(piece.text for piece in pieces) == " heron stands"
    assert pieces[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("stop", "text"),
    [("in", " heron stands "), ("stands in the", " heron "), ("on st", " her"), ("never", " heron stands in the river")],
)
def test_a_stop_string_ends_it_before_itself(tokenizer: Tokenizer, stop: str, text: str) -> None:
    pieces = decode(tokenizer, each(tokenizer, "heron stands in the river"), stop=(stop,))
    assert "".join(piece.text for piece in pieces) == text
    assert pieces[-1].finish_reason == ("length" if stop == "never" else "stop")


def test_what_was_held_back_for_a_stop_string_comes_at_the_end(tokenizer: Tokenizer) -> None:
    pieces = decode(tokenizer, each(tokenizer, "heron stands in"), stop=("in the sea",))
    assert "".join(piece.text for piece in pieces) == " heron stands in"


def test_tokens_are_told_with_their_text_and_bytes(tokenizer: Tokenizer) -> None:
    pieces = decode(tokenizer, each(tokenizer, "heron stands river", "stop"), logprobs=2)
    tokens = [token for piece in pieces for token in piece.logprobs or ()]
    assert [(token.text, token.data, token.logprob) for token in tokens] == [
        ("heron", b"heron", -0.5),
        ("stands", b"stands", -0.5),
    ]
    assert all([other.logprob for other in token.top] == [-0.5, -1.5] for token in tokens)


def test_special_tokens_are_written_where_they_are_asked_for(tokenizer: Tokenizer) -> None:
    separator = 102
    steps: list[tuple[Sequence[int], Finish]] = [([*ids_of(tokenizer, "heron"), separator], "length")]
    assert decode(tokenizer, steps)[0].text == " heron"
    assert decode(tokenizer, steps, skip_special_tokens=False)[0].text == " heron [SEP]"
