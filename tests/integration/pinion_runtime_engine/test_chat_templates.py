"""Prompts by our own rendering, against apply_chat_template of transformers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.chat_template import ChatTemplate
from pinion_runtime.model.chat_template_files import read_chat_templates
from tests.support.chat_templates import CHATS, OPTIONS, SPECIAL_TOKENS, TEMPLATES

pytestmark = pytest.mark.model

OF_CALL = ("tools", "documents", "add_generation_prompt", "continue_final_message")


@pytest.fixture(scope="module")
def oracle() -> Any:
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({token: place for place, token in enumerate(SPECIAL_TOKENS.values())}, "<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL_TOKENS)


def ours(source: str, chat: list[dict[str, Any]], options: dict[str, Any]) -> str:
    known = {name: options[name] for name in OF_CALL if name in options}
    more = {name: value for name, value in options.items() if name not in OF_CALL}
    return ChatTemplate(source).render(chat, variables={**SPECIAL_TOKENS, **more}, most_bytes=1 << 20, **known)


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_are_those_of_transformers(oracle: Any, name: str) -> None:
    source = TEMPLATES[name]
    prompts = 0
    for title, chat in CHATS.items():
        for label, options in OPTIONS.items():
            wanted, error = attempt(oracle.apply_chat_template, chat, chat_template=source, tokenize=False, **options)
            found, problem = attempt(ours, source, chat, options)
            if "CONTINUE_FINAL" in (wanted or ""):  # a text that the template writes twice; theirs leaves its mark in one
                assert "can't be continued" in problem
                continue
            assert found == wanted, f"{title}, {label}: {error or problem}"
            assert bool(problem) == bool(error)
            if "raise_exception" in source and "continue_final_message" not in options:
                assert problem == error
            prompts += wanted is not None
    broken = ("syntax error", "undefined", "type error", "forbidden attribute", "forbidden change", "underscore")
    assert (prompts > 0) == (name not in broken)


def attempt(render: Callable[..., str], *values: Any, **named: Any) -> tuple[str | None, str]:
    """Return the prompt, or None and the error of jinja2, Python or transformers."""
    try:
        return render(*values, **named), ""
    except Exception as error:
        return None, str(error) or type(error).__name__


FOLDERS: dict[str, dict[str, Any]] = {
    "none": {},
    "in the configuration": {"tokenizer_config.json": {"chat_template": "config"}},
    "null": {"tokenizer_config.json": {"chat_template": None}},
    "several in the configuration": {
        "tokenizer_config.json": {
            "chat_template": [{"name": "default", "template": "one"}, {"name": "tool_use", "template": "two"}]
        }
    },
    "several without a default": {"tokenizer_config.json": {"chat_template": [{"name": "rag", "template": "one"}]}},
    "a file": {"chat_template.jinja": "file\n"},
    "a file before the configuration": {"chat_template.jinja": "file", "tokenizer_config.json": {"chat_template": "config"}},
    "more files": {
        **{"chat_template.jinja": "file", "additional_chat_templates/tool_use.jinja": "tools"},
        **{"additional_chat_templates/rag.jinja": "rag", "additional_chat_templates/notes.txt": "no"},
        "tokenizer_config.json": {"chat_template": [{"name": "tool_use", "template": "config"}]},
    },
}


def make_folder(folder: Path, files: dict[str, Any]) -> Path:
    Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}, "<s>")).save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **files.get("tokenizer_config.json", {})}
    for name, content in {**files, "tokenizer_config.json": config}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize("files", FOLDERS.values(), ids=FOLDERS)
def test_templates_are_found_where_transformers_finds_them(tmp_path: Path, files: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    folder = make_folder(tmp_path, files)
    oracle = AutoTokenizer.from_pretrained(folder)
    found = read_chat_templates(folder)
    wanted = oracle.chat_template
    assert found.by_name == (wanted if isinstance(wanted, dict) else {"default": wanted} if wanted is not None else {})
    for tools in (None, [{"type": "function"}]):
        name = found.choose(tools=tools is not None)
        try:
            source = oracle.get_chat_template(tools=tools)
        except ValueError:
            assert name is None
        else:
            assert name is not None
            assert found.by_name[name] == source


TOKENS: dict[str, dict[str, Any]] = {
    "texts": {"tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True, "pad_token": None}},
    "objects": {
        "tokenizer_config.json": {
            "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": False, "special": True},
            "model_max_length": 7,
        }
    },
    "of one model": {
        "tokenizer_config.json": {
            **{"bos_token": "<s>", "image_token": "<image>"},
            "extra_special_tokens": {"audio_token": "<audio>", "boi": "<boi>"},
        }
    },
    "a list of more": {"tokenizer_config.json": {"eos_token": "</s>", "extra_special_tokens": ["<a>", "<b>"]}},
    "an old map": {
        "tokenizer_config.json": {"bos_token": "<s>"},
        "special_tokens_map.json": {"eos_token": "</s>", "unk_token": {"content": "<s>", "lstrip": False}},
    },
    "a map that does not count": {
        "tokenizer_config.json": {"bos_token": "<s>", "added_tokens_decoder": {}},
        "special_tokens_map.json": {"eos_token": "</s>"},
    },
}


@pytest.mark.parametrize("files", TOKENS.values(), ids=TOKENS)
def test_special_tokens_are_those_of_transformers(tmp_path: Path, files: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    folder = make_folder(tmp_path, files)
    assert read_chat_templates(folder).special_tokens == AutoTokenizer.from_pretrained(folder).special_tokens_map


def test_the_old_file_of_processors_is_the_last_resort(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, {"chat_template.json": {"chat_template": "old"}})
    assert read_chat_templates(folder).by_name == {"default": "old"}
    (folder / "chat_template.jinja").write_text("new")
    assert read_chat_templates(folder).by_name == {"default": "new"}


def test_more_files_do_not_hide_the_default_of_the_configuration(tmp_path: Path) -> None:
    files = {"additional_chat_templates/rag.jinja": "rag", "tokenizer_config.json": {"chat_template": "config"}}
    assert read_chat_templates(make_folder(tmp_path, files)).by_name == {"default": "config", "rag": "rag"}


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a number": ({"tokenizer_config.json": {"chat_template": 3}}, "tokenizer_config.json is not valid: chat_template"),
    "no name": ({"tokenizer_config.json": {"chat_template": [{"template": "x"}]}}, "missing required field `name`"),
    "too large": ({"chat_template.jinja": "x" * ((1 << 20) + 1)}, "chat_template.jinja is larger than 1048576 bytes"),
    "too many": ({f"additional_chat_templates/{n}.jinja": "x" for n in range(33)}, "has 33 templates; at most 32 are read"),
    "no JSON": ({"chat_template.json": "{"}, "chat_template.json is not valid"),
    "a pointer": (
        {"chat_template.jinja": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"},
        r"a git LFS pointer lies in place of the file itself: chat_template.jinja \(it should have 12 bytes\)",
    ),
}


@pytest.mark.parametrize(("files", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_named(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineLoadError, match=message):
        read_chat_templates(make_folder(tmp_path, files))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (make_folder(tmp_path, {}) / "chat_template.jinja").write_bytes(b"ab\xff")
    with pytest.raises(EngineLoadError, match=r"chat_template\.jinja is not valid: it is not UTF-8: byte 2"):
        read_chat_templates(tmp_path)
