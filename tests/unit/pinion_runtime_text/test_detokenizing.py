"""Pieces of text that are given out as tokens come, against the library's own decoding of the whole."""

import time
from itertools import takewhile

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders
from tokenizers.decoders import DecodeStream

from pinion_runtime.model.detokenizing import Detokenizer
from tests.support.fuzzing import EXAMPLES
from tests.support.tokenizers import KINDS, byte_level

REPLACEMENT = "\ufffd"
FACE = "😀"
PLACES = st.lists(st.integers(0, 2**16), max_size=40)  # ids, modulo the vocabulary and a few that no token has


def ids_of(tokenizer: Tokenizer, places: list[int]) -> list[int]:
    """Return ids of which every second one is of the first 300: single bytes, where a tokenizer has them."""
    size = tokenizer.get_vocab_size() + 3
    return [place // 2 % min(size, 300) if place % 2 else place // 2 % size for place in places]


def byte_of(tokenizer: Tokenizer, id: int) -> int | None:
    token = tokenizer.id_to_token(id) or ""
    return int(token[3:5], 16) if token.startswith("<0x") and len(token) == 6 else None


def repaired(tokenizer: Tokenizer, ids: list[int], skip: bool) -> list[int]:
    """Return ids in which each byte that belongs to no character is the three bytes of U+FFFD, which is one."""
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    ids = [id for id in ids if (token := tokenizer.id_to_token(id)) is not None and not (skip and token in special)]
    result: list[int] = []
    while ids:
        run = 0
        while run < len(ids) and byte_of(tokenizer, ids[run]) is not None:
            run += 1
        data = bytes(byte_of(tokenizer, id) or 0 for id in ids[:run])
        while data:
            size = next((size for size in (1, 2, 3, 4) if is_character(data[:size])), 0)
            character, data = (data[:size], data[size:]) if size else (REPLACEMENT.encode(), data[1:])
            result += [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in character]
        result += ids[run : run + 1]
        ids = ids[run + 1 :]
    return result


def is_character(data: bytes) -> bool:
    try:
        return len(data.decode()) == 1
    except UnicodeDecodeError:
        return False


def expected(tokenizer: Tokenizer, prompt: list[int], ids: list[int], skip: bool) -> str:
    """Return the library's decoding of prompt and answer behind what it has in common with that of the prompt alone."""
    head = tokenizer.decode(repaired(tokenizer, prompt, skip), skip_special_tokens=skip)
    whole = tokenizer.decode(repaired(tokenizer, prompt + ids, skip), skip_special_tokens=skip)
    # A character that the prompt begins and the answer completes may be U+FFFD itself, which is written.
    assume(len(whole) >= len(head) or not whole.endswith(REPLACEMENT))
    return whole[sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(head, whole, strict=False))) :]


def pieces(tokenizer: Tokenizer, prompt: list[int], feeds: list[list[int]], skip: bool = True) -> list[str]:
    made = Detokenizer(tokenizer, prompt, skip)
    return [*(made.feed(feed) for feed in feeds), made.flush()]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=EXAMPLES or 300)
@given(prompt=PLACES, answer=PLACES, skip=st.booleans())
def test_joined_pieces_are_the_librarys_text(kind: str, prompt: list[int], answer: list[int], skip: bool) -> None:
    tokenizer = KINDS[kind]()
    before, ids = ids_of(tokenizer, prompt), ids_of(tokenizer, answer)
    text = expected(tokenizer, before, ids, skip)
    singly = pieces(tokenizer, before, [[id] for id in ids], skip)
    assert "".join(singly) == text
    assert "".join(pieces(tokenizer, before, [ids], skip)) == text, "at once"
    assert "".join(pieces(tokenizer, before, [ids[:7], [], ids[7:]], skip)) == text, "in two parts"


@settings(max_examples=EXAMPLES or 300)
@given(answer=st.lists(st.integers(5, 260), max_size=12))
@example([5 + 0xE2, 5 + 0x82, 5 + 0xAC])
def test_runs_of_bytes_that_are_all_characters_or_all_none_are_the_librarys_as_they_are(answer: list[int]) -> None:
    tokenizer = KINDS["byte fallback"]()
    own = tokenizer.decode(answer)
    data = bytes(id - 5 for id in answer)
    kept = data.decode("utf-8", "ignore")
    assume(not kept or kept.encode() == data)
    assert "".join(pieces(tokenizer, [], [[id] for id in answer])) == own


def test_a_stray_byte_behind_a_character_costs_nothing_but_itself() -> None:
    """The library's stream ends there, and gives up the character where it is decoded as a whole."""
    tokenizer = KINDS["byte fallback"]()
    ids = [*(tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in "€".encode() + b"\x80"), tokenizer.token_to_id("▁kettle")]
    stream = DecodeStream(ids=[], skip_special_tokens=True)
    assert [stream.step(tokenizer, id) for id in ids[:4]] == [None, None, "€", None]
    with pytest.raises(Exception, match="Invalid prefix"):
        stream.step(tokenizer, ids[4])
    assert pieces(tokenizer, [], [[id] for id in ids]) == ["", "", "€", REPLACEMENT, " kettle", ""]


@pytest.mark.parametrize(
    ("kind", "token"),
    [("byte-level", "\u0122"), ("byte fallback", "<0x80>"), ("byte fallback", "<0xF0>"), ("unigram", REPLACEMENT)],
)
def test_a_long_run_of_invalid_bytes_takes_linear_time(kind: str, token: str) -> None:
    tokenizer = KINDS[kind]()
    id = tokenizer.token_to_id(token)
    assert id is not None
    began = time.process_time()
    found = pieces(tokenizer, [], [[id]] * 20_000)
    assert time.process_time() - began < 4  # the library's stream takes 40 s for as many
    assert "".join(found) == REPLACEMENT * 20_000
    assert max(map(len, found)) <= 4, "held back"


@pytest.mark.parametrize("kind", ["byte-level", "byte fallback"])
@pytest.mark.parametrize("known", [1, 2, 3])
def test_a_prompt_that_ends_within_a_character_is_not_repeated(kind: str, known: int) -> None:
    tokenizer = KINDS[kind]()
    head = tokenizer.encode("spool ").ids
    name = "<0x{:02X}>" if kind == "byte fallback" else ""
    letters = [name.format(byte) if name else alphabet(byte) for byte in FACE.encode()]
    character = [tokenizer.token_to_id(letter) for letter in letters]
    prompt, rest = head + character[:known], character[known:]
    assert pieces(tokenizer, prompt, [[id] for id in rest]) == [*[""] * (len(rest) - 1), FACE, ""]
    word = tokenizer.encode("s").ids[-1:]
    assert pieces(tokenizer, prompt, [word]) == ["s", ""], "what the prompt began and nobody completes"
    assert pieces(tokenizer, prompt, []) == [""]


@pytest.mark.parametrize(
    ("prompt", "answer", "text"),
    [
        (["▁the"], ["▁kettle", "s"], [" kettle", "s", ""]),
        ([], ["▁kettle", "\n", "▁the"], ["kettle", "\n", " the", ""]),
        (["▁the", "</s>"], ["▁kettle"], [" kettle", ""]),
        (["<s>"], ["▁kettle"], ["kettle", ""]),
        (["▁the"], ["<|im_end|>", "▁kettle"], ["", " kettle", ""]),
        (["▁the"], ["▁", "▁kettle"], [" ", " kettle", ""]),
        (["▁the", *["<|im_start|>"] * 20], ["▁kettle"], [" kettle", ""]),
    ],
)
@pytest.mark.parametrize("kind", ["byte fallback", "unigram"])
def test_spaces_at_the_starts_of_words(kind: str, prompt: list[str], answer: list[str], text: list[str]) -> None:
    tokenizer = KINDS[kind]()
    ids = [[tokenizer.token_to_id(token)] for token in answer]
    assert pieces(tokenizer, [tokenizer.token_to_id(token) for token in prompt], ids) == text


def test_characters_are_whole_with_a_decoder_that_does_more_than_join_bytes() -> None:
    tokenizer = byte_level()
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("我", "WO")])
    ids = tokenizer.encode(f"tea {FACE}{FACE} 我 \ufffd").ids
    found = pieces(tokenizer, [], [[id] for id in ids])
    assert "".join(found) == f"tea {FACE}{FACE} WO \ufffd"
    assert FACE in "".join(found[: len(ids) // 2]), "held back"


def test_special_tokens_are_written_when_they_are_asked_for() -> None:
    tokenizer = KINDS["byte-level"]()
    ids = [*tokenizer.encode("tea").ids, tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<think>")]
    assert "".join(pieces(tokenizer, [], [[id] for id in ids])) == "tea<think>"
    assert "".join(pieces(tokenizer, [], [[id] for id in ids], skip=False)) == "tea<|im_end|><think>"


def alphabet(byte: int) -> str:
    """Return the letter of a byte in GPT-2's alphabet, for bytes that are neither control characters nor spaces."""
    return chr(byte) if 0xA1 <= byte != 0xAD else chr(0x100 + 33 + byte - 0x7F)
