"""What the files of a text model say decides what is served of it, and `/status` tells."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.support.decoders import generate, make_decoder, prompt_of
from tests.support.hub import Hub
from tests.support.serve import Serve, Served
from tests.support.tokenizers import KINDS

pytestmark = pytest.mark.model

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
FILES = {"chat_template.jinja": TEMPLATE, "chat_template.json": json.dumps({"chat_template": TEMPLATE})}
PROMPT = prompt_of(12)


def cid_of(folder: Path) -> str:
    command = [sys.executable, "-m", "pinion_ipfs", "add", "--only-hash", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()[0]


@pytest.mark.parametrize("name", FILES)
def test_a_template_in_a_file_of_its_own_is_fetched_covered_by_the_cid_and_used(
    hub: Hub, serve: Serve, tmp_path: Path, name: str
) -> None:
    repo = f"tests/{name.replace('.', '-')}"
    folder = make_decoder(hub.root / repo)
    without = cid_of(shutil.copytree(folder, tmp_path / "without"))
    (folder / name).write_text(FILES[name])
    served = serve.flags(repo)
    model = served.wait_ready().model
    assert name in hub.repo_stats(repo)["gets_by_path"]
    assert model.chat
    assert model.opened_cid == model.cid != without
    messages = [{"role": "user", "content": "The kettle"}]
    tokens = served.post({"model": repo, "messages": messages}, path="/tokenize").json()["tokens"]
    assert tokens == AutoTokenizer.from_pretrained(folder)("The kettle", add_special_tokens=False)["input_ids"]
    asked: dict[str, Any] = {"model": repo, "max_tokens": 8, "temperature": 0}
    chat = served.post({**asked, "messages": messages}, path="/v1/chat/completions").json()
    plain = served.post({**asked, "prompt": tokens}, path="/v1/completions").json()
    assert chat["usage"]["prompt_tokens"] == len(tokens)
    assert chat["choices"][0]["message"]["content"] == plain["choices"][0]["text"]


def test_without_a_template_chats_are_refused_and_that_is_told_beforehand(serve: Serve, tmp_path: Path) -> None:
    served = serve.local(str(make_decoder(tmp_path / "model")), "model")
    model = served.wait_ready().model
    assert (model.chat, model.chat_reason) == (False, "the model has no chat template: completions take a prompt as it is")
    asked = {"model": "model", "messages": [{"role": "user", "content": "x"}]}
    refused = served.post(asked, path="/v1/chat/completions")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")
    assert "no chat template" in refused.json()["error"]["message"]
    completed = served.post({"model": "model", "prompt": "The kettle", "max_tokens": 2}, path="/v1/completions")
    assert completed.status_code == 200, completed.text


def untie(folder: Path) -> Path:
    """Give a model whose config.json ties head and embeddings a head of its own."""
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].flip(0).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("kind", "engine", "reason"),
    [("gpt_neo", "transformers/one-at-a-time", ""), ("llama", "transformers/slots", "two different tensors")],
)
def test_what_was_found_at_load_is_told(serve: Serve, tmp_path: Path, kind: str, engine: str, reason: str) -> None:
    folder = make_decoder(tmp_path / "model", kind, **({"tie_word_embeddings": True} if reason else {}))
    if reason:
        untie(folder)
    served = serve.local(str(folder), "model")
    model = served.wait_ready().model
    assert model.engine == engine
    assert model.engine_reason
    assert reason in model.engine_reason
    asked = {"model": "model", "prompt": PROMPT, "max_tokens": 8, "temperature": 0}
    answer = served.post(asked, path="/v1/completions").json()
    expected = AutoTokenizer.from_pretrained(folder).decode(generate(folder, PROMPT, 8), skip_special_tokens=True)
    assert answer["choices"][0]["text"] == expected


@pytest.mark.parametrize("kind", ["byte fallback", "unigram"])
def test_deltas_of_words_that_begin_with_a_mark_are_the_text(serve: Serve, tmp_path: Path, kind: str) -> None:
    """Spaces between them are neither lost nor doubled, behind a special token either."""
    rust = KINDS[kind]()
    folder = make_decoder(tmp_path / "model", vocab_size=rust.get_vocab_size())
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    template = "{% for message in messages %}<|im_start|>{{ message.content }}\n<|im_end|>{% endfor %}<|im_start|>"
    PreTrainedTokenizerFast(tokenizer_object=rust, chat_template=template, **special).save_pretrained(folder)
    served = serve.local(str(folder), "model")
    served.wait_ready()
    texts = set()
    for prompt in ("the kettle sings", "the kettle\nsings", "the "):
        for seed in range(3):
            asked = {"model": "model", "max_tokens": 40, "temperature": 1, "seed": seed, "ignore_eos": True}
            for path, given in (
                ("/v1/completions", {"prompt": prompt}),
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt}]}),
            ):
                whole = served.post({**asked, **given}, path=path).json()["choices"][0]
                text = whole["message"]["content"] if "chat" in path else whole["text"]
                assert "".join(deltas(served, path, {**asked, **given})) == text
                texts.add(text)
    assert any(" " in text.strip() for text in texts), "none had words"


def deltas(served: Served, path: str, asked: dict[str, Any]) -> Iterator[str]:
    """Yield the pieces of text of a stream."""
    answer = served.post({**asked, "stream": True}, path=path)
    for line in answer.text.splitlines():
        if line and line != "data: [DONE]":
            choice = json.loads(line.removeprefix("data: "))["choices"][0]
            yield choice["delta"].get("content") or "" if "chat" in path else choice["text"]
