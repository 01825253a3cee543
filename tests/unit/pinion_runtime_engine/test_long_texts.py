"""Long texts have the ids that they would have if they were tokenised whole and cut, whatever the tokenizer and the script."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.model.cutting import Cutter, special_ends
from pinion_runtime.model.tokenizing import InputTooLong, Side, TextTooLarge, Tokenizer, TooManyTokens
from tests.support.worst_texts import FAMILIES, TEXTS, tokenizer_of

LENGTH = 48
CHARACTERS = 5_000
SIDES: tuple[Side, ...] = ("right", "left")


def made(folder: Path, family: str, **limits: int) -> Tokenizer:
    """Return the front's tokenizer of a family."""
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": LENGTH, **limits}))
    return Tokenizer.from_snapshot(folder, tokenizer_of(family).to_str().encode())


def whole(family: str, text: str, cut: str, length: int = LENGTH) -> list[int]:
    """Return what the library gives for the whole text, cut by hand."""
    encoding: Any = tokenizer_of(family).encode(text)
    ids: list[int] = encoding.ids
    if len(ids) <= length:
        return ids
    content = ids[1:-1]
    kept = content[len(content) - (length - 2) :] if cut == "left" else content[: length - 2]
    return [ids[0], *kept, ids[-1]]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", TEXTS)
def test_the_ids_are_those_of_the_whole(tmp_path: Path, family: str, name: str) -> None:
    tokenizer, text = made(tmp_path, family), TEXTS[name](CHARACTERS)
    for cut in SIDES:
        assert tokenizer.encode(["x", text], truncate=True, cut=cut)[1] == whole(family, text, cut)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_told_of_a_piece_is_so(family: str, name: str) -> None:
    rust, text = tokenizer_of(family), TEXTS[name](CHARACTERS)
    ids = rust.encode(text).ids
    cutter = Cutter(rust, LENGTH, rust.encode_batch, whole_characters=0)
    encoding, settled = cutter.beginning(text, LENGTH)
    assert encoding.ids[:settled] == ids[:settled]
    assert settled > LENGTH or settled == len(ids)
    encoding, settled = cutter.end(text, LENGTH)
    _, tail = special_ends(encoding)
    own, expected = encoding.ids[: len(encoding) - tail], ids[: len(ids) - tail]
    assert own[len(own) - min(settled, len(own)) :] == expected[len(expected) - min(settled, len(own)) :]


@pytest.mark.parametrize("family", ["byte BPE", "whole-text BPE", "Unigram"])
@pytest.mark.parametrize("name", ["minified JSON", "Chinese prose", "ACGT", "prose"])
def test_megabytes_without_a_space_are_cut_from_a_piece(tmp_path: Path, family: str, name: str) -> None:
    tokenizer, text = made(tmp_path, family), TEXTS[name](1_200_000)
    began = time.process_time()
    (ids,) = tokenizer.encode([text], truncate=True)
    assert time.process_time() - began < 2  # more than it takes where caches are cold; some of these take minutes as a whole
    assert ids == whole(family, text[:CHARACTERS], "right")
    with pytest.raises(InputTooLong, match="more than"):
        tokenizer.encode([text])


@pytest.mark.parametrize("truncate", [True, False])
def test_a_text_that_does_not_tell_is_refused(tmp_path: Path, truncate: bool) -> None:
    tokenizer = made(tmp_path, "word piece")
    with pytest.raises(TextTooLarge, match=r"input 1 has 600000 characters, and 524288 of them do not tell where"):
        tokenizer.encode(["a", " " * 600_000], truncate=truncate)


async def test_a_long_text_holds_up_nobody(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, "Unigram")
    turns: list[float] = []

    async def turn() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            turns.append(time.monotonic() - began)

    turning = asyncio.ensure_future(turn())
    text = "a" * 400_000
    worst = [asyncio.ensure_future(tokenizer.encode_async([text], truncate=True, cut="left")) for _ in range(2)]
    small = await tokenizer.encode_async(["heron " * 500], truncate=True)
    assert not any(task.done() for task in worst), "the small one waited for the long ones"
    assert len(small[0]) == LENGTH
    gone = worst.pop()
    gone.cancel()
    (ids,) = await worst[0]
    turning.cancel()
    assert len(ids) == LENGTH
    assert sorted(turns)[-3] < 1  # the two longest may tell of a processor that was busy elsewhere


async def test_a_request_of_too_many_tokens_is_not_tokenised_to_its_end(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, "byte BPE")
    texts = ["heron kettle " * 8] * 2048
    with pytest.raises(TooManyTokens) as refused:
        await tokenizer.encode_async(texts, truncate=True, most_tokens=1000)
    assert 0 < refused.value.index < 1024
    assert len(await tokenizer.encode_async(texts[:30], truncate=True, most_tokens=10_000)) == 30
