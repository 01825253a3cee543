"""The front's tokenizer with the real MiniLM files; no torch."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer as RustTokenizer

from pinion_runtime.errors import EngineLoadError, InvalidInput
from pinion_runtime.model.tokenizing import InputTooLong, Tokenizer

TEXTS = ["a", ".", "The kettle sings before the water boils.", "我们今天去公园散步", "heron " * 40, "  \x00 spaces\n"]


@pytest.fixture(scope="module")
def tokenizer(minilm: Path) -> Tokenizer:
    return Tokenizer.from_snapshot(minilm)


def truncated(minilm: Path, text: str, limit: int) -> list[int]:
    """Return what the library's own truncation gives: the whole text is tokenised, then cut."""
    rust = RustTokenizer.from_file(str(minilm / "tokenizer.json"))
    rust.no_padding()
    rust.enable_truncation(limit)
    ids: list[int] = rust.encode(text).ids
    return ids


def test_limits_are_the_folders(tokenizer: Tokenizer) -> None:
    assert (tokenizer.max_length, tokenizer.vocabulary_size) == (256, 30522)


def test_alone_and_together_give_the_same(tokenizer: Tokenizer, minilm: Path) -> None:
    together = tokenizer.encode(TEXTS)
    assert together == [tokenizer.encode([text])[0] for text in TEXTS]
    assert together == [truncated(minilm, text, 512) for text in TEXTS]
    assert [tokenizer.count(text) for text in TEXTS] == [len(ids) for ids in together]
    assert together[0][0] == 101
    assert together[0][-1] == 102


def test_the_engines_json_is_taken_when_given(minilm: Path) -> None:
    rust = RustTokenizer.from_file(str(minilm / "tokenizer.json"))
    rust.add_tokens(["kettlefish"])
    made = Tokenizer.from_snapshot(minilm, rust.to_str().encode())
    assert len(made.encode(["kettlefish"])[0]) == 3
    assert made.vocabulary_size == 30522  # config.json's: a row past it does not exist


@pytest.mark.parametrize(
    "text",
    [
        "heron " * 300,
        "word " * 20_000,
        "我" * 5_000,
        "heronheron" * 4_000,
        " " * 30_000 + "heron " * 300,
        "a" * 90 + " b" * 4_000,
    ],
    ids=["just over", "many words", "no spaces", "one word", "spaces first", "long word first"],
)
def test_truncation_equals_the_librarys(tokenizer: Tokenizer, minilm: Path, text: str) -> None:
    assert tokenizer.encode([text, "x"], truncate=True) == [truncated(minilm, text, 256), tokenizer.encode(["x"])[0]]
    assert tokenizer.encode([text], truncate=True)[0] == truncated(minilm, text, 256)


def test_too_long_is_refused_with_both_numbers(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputTooLong, match="input 1 has 302 tokens; this model takes at most 256") as refused:
        tokenizer.encode(["fine", "heron " * 300])
    assert (refused.value.index, refused.value.tokens, refused.value.limit, refused.value.exact) == (1, 302, 256, True)
    with pytest.raises(InputTooLong, match="more than") as refused:
        tokenizer.encode(["heron " * 200_000])
    assert not refused.value.exact
    assert refused.value.tokens > 256
    exact = tokenizer.encode(["kettle " * 254])[0]
    assert len(exact) == 256


def test_an_empty_text_is_what_goes_around_every_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(["", "a"]) == [[101, 102], [101, 1037, 102]]


def test_megabytes_are_cut_before_they_are_tokenised(tokenizer: Tokenizer) -> None:
    text = "the kettle sings " * 600_000  # 10 MB; all of it takes seconds
    tokenizer.encode(["warm"])
    began = time.process_time()
    ids = tokenizer.encode([text], truncate=True)[0]
    assert len(ids) == 256
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("texts", "index", "message"),
    [
        (["a", "b", "x\ud800y"], 2, "input 2 is not valid Unicode"),
        (["\udfff"], 0, "input 0 is not valid Unicode"),
        (["fine " * 4000, "\udfff"], 1, "input 1 is not valid Unicode"),
    ],
)
def test_bad_texts_are_named(tokenizer: Tokenizer, texts: list[str], index: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        tokenizer.encode(texts, truncate=True)
    assert refused.value.index == index


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[5], []], "input 1 is an empty list"),
        ([[30522]], "input 0 has the token id 30522; this model's ids are 0 to 30521"),
        ([[1], [2, -1]], "input 1 has the token id -1"),
        ([[100257]], "input 0 has the token id 100257"),
        ([[5] * 257], "input 0 has 257 tokens; this model takes at most 256"),
    ],
)
def test_bad_token_ids_are_named(tokenizer: Tokenizer, ids: list[list[int]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        tokenizer.check(ids)


def test_good_token_ids_are_taken_as_they_are(tokenizer: Tokenizer) -> None:
    assert tokenizer.check([[101, 7592, 102], [5] * 256]) == [[101, 7592, 102], [5] * 256]


async def test_a_large_input_gives_the_same_on_a_thread(tokenizer: Tokenizer) -> None:
    texts = ["the kettle sings " * 80] * 40
    assert await tokenizer.encode_async(texts) == tokenizer.encode(texts)


def test_a_folder_without_a_readable_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(EngineLoadError, match=r"no tokenizer\.json"):
        Tokenizer.from_snapshot(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(EngineLoadError, match=r"tokenizer\.json can't be read"):
        Tokenizer.from_snapshot(tmp_path)


def test_the_front_never_imports_torch() -> None:
    code = (
        "import sys, pinion_runtime.model.tokenizing, pinion_runtime.scheduling.texts, pinion_runtime.engines.supervisor\n"
        "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_a_prompt_goes_before_each_text_and_its_tokens_are_counted(tmp_path: Path, minilm: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "modules.json", "sentence_bert_config.json"):
        (tmp_path / name).write_bytes((minilm / name).read_bytes())
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": "mean", "include_prompt": False}))
    (tmp_path / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "query: "}, "default_prompt_name": "query"})
    )
    made = Tokenizer.from_snapshot(tmp_path)
    assert made.encode(["kettle"]) == made.encode(["query: kettle"], prompt="") == made.encode(["kettle"], prompt="query: ")
    assert made.encode(["kettle"], prompt="") != made.encode(["kettle"])
    assert (made.unpooled(), made.unpooled("query: "), made.unpooled("")) == (3, 3, 0)  # [CLS] query :
    assert made.unpooled("heron " * 300) == made.max_length - 1
    assert Tokenizer.from_snapshot(tmp_path, special_ids=()).unpooled() == 4
    assert Tokenizer.from_snapshot(minilm).unpooled("query: ") == 0


def test_the_side_that_is_cut_can_be_chosen(tokenizer: Tokenizer) -> None:
    text = "kettle " + "heron " * 300 + "teapot"
    whole = tokenizer.encode([text], truncate=True)[0]
    (right,) = tokenizer.encode([text], truncate=True, cut="right")
    (left,) = tokenizer.encode([text], truncate=True, cut="left")
    assert right == whole
    assert (len(left), left[0], left[-1]) == (256, whole[0], whole[-1])
    assert left[1:-1] != whole[1:-1]
    assert tokenizer.encode(["kettle " * 20_000 + text], truncate=True, cut="left")[0] == left
