"""A JSON file of a model that is not what it should be is told in a sentence, with the file and the place."""

from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.json_files import decode_json

TEXT = '{"model_type": "bert", "hidden_size": 32}'
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n", "it is empty"),
    "cut": (TEXT.encode()[:20], r"line 1, column 16: Unterminated string"),
    "a comma too many": (b'{"a": 1,\n}', r"line \d, column \d: "),
    "single quotes": (b"{'a': 1}", r"line 1, column 2: Expecting property name"),
    "a comment": (b'{\n// no\n"a": 1}', r"line 2, column 1: "),
    "Infinity": (b'{"a": Infinity}', "Infinity is no number of JSON"),
    "minus Infinity": (b'{"a": [-Infinity]}', "-Infinity is no number of JSON"),
    "NaN": (b'{"a": NaN}', "NaN is no number of JSON"),
    "a key twice": (b'{"hidden_size": 1, "hidden_size": 2}', "the key 'hidden_size' is there twice"),
    "a key twice, below": (b'{"a": [{"b": 1, "b": 1}]}', "the key 'b' is there twice"),
    "a byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "begins with a byte order mark"),
    "UTF-16": (TEXT.encode("utf-16"), "it is UTF-16 or UTF-32, and JSON is UTF-8"),
    "UTF-16, the other way": (b"\xfe\xff" + TEXT.encode("utf-16-be"), "it is UTF-16"),
    "UTF-32": (TEXT.encode("utf-32"), "it is UTF-16 or UTF-32"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), r"line 1, column 2"),
    "latin-1": ('{"a": "ä"}'.encode("latin-1"), "it is not UTF-8: byte 7"),
    "deep": (b"[" * 100_000, "nested too deep|line 1"),
    "a list": (b"[]", r"Expected `object`, got `array`"),
    "nothing": (b"null", r"Expected `object`, got `null`"),
    "a page": (b"<!doctype html>", "line 1, column 1"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_with_the_cause(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(EngineLoadError, match=f"config.json is not valid: .*({message})") as refused:
        decode_json(tmp_path, "config.json", dict[str, Any])
    assert len(str(refused.value).splitlines()) == 1


def test_what_other_writers_write_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes('\r\n{"a": 1e30, "b": "\\ud83d\\ude00 ä", "c": {"a": 2}}\r\n'.encode())
    assert decode_json(tmp_path, "config.json", dict[str, Any]) == {"a": 1e30, "b": "😀 ä", "c": {"a": 2}}


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(EngineLoadError, match=r"config.json can't be read: Is a directory"):
        decode_json(tmp_path, "config.json", dict[str, Any])
