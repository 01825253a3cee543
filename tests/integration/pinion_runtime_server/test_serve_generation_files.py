"""What the files of a text model say decides what is served of it, and `/status` tells."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.support.decoders import END, generate, make_decoder, prompt_of
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


@dataclass(frozen=True)
class Told:
    """A model whose files say more: how tokens are chosen, that a second one ends an answer, and of a role of chats."""

    served: Served
    tokenizer: Any
    greedy: Sequence[int]  # what follows PROMPT, up to the first token of which the files say that it ends an answer

    def answer(self, **fields: Any) -> tuple[str, str, int]:
        """Return an answer to PROMPT, why it ended, and how many tokens it took."""
        asked = {"model": "told", "prompt": PROMPT, "max_tokens": 8, **fields}
        found = self.served.post(asked, path="/v1/completions").json()
        (choice,) = found["choices"]
        return choice["text"], choice["finish_reason"], found["usage"]["completion_tokens"]


@pytest.fixture(scope="module")
def told(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = make_decoder(tmp_path_factory.mktemp("decoder") / "told")
    greedy = generate(folder, PROMPT, 8)
    second = greedy[4]
    assert second not in (*greedy[:4], END)
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "temperature": 1.5, "top_k": 1, "eos_token_id": [END, second]})
    )
    (folder / "chat_template.jinja").write_text(
        "{% for message in messages %}{% if message.role == 'developer' %}{{ 'The developer: ' }}"
        "{% elif message.role == 'system' %}{{ 'The system: ' }}{% endif %}{{ message.content + '\n' }}{% endfor %}"
    )
    starter = Serve(hub, tmp_path_factory.mktemp("serve"), tmp_path_factory.mktemp("cache"))
    try:
        served = starter.local(str(folder), "told")
        served.wait_ready()
        yield Told(served, AutoTokenizer.from_pretrained(folder), greedy[:5])
    finally:
        starter.stop_all()


@pytest.mark.parametrize("asked", [{}, {"temperature": 1}, {"top_p": 1}, {"temperature": 0, "top_k": 0}], ids=str)
def test_where_a_request_says_nothing_tokens_are_chosen_as_the_files_say(told: Told, asked: dict[str, Any]) -> None:
    """They say the likeliest, at a temperature at which others come too."""
    expected = (told.tokenizer.decode(told.greedy[:-1]), "stop", 5)
    assert [told.answer(seed=seed, **asked) for seed in range(4)] == [expected] * 4


def test_a_request_that_says_otherwise_is_answered_otherwise(told: Told) -> None:
    drawn, hotter, cooler = (
        [told.answer(seed=seed, top_k=0, **temperature) for seed in range(4)]
        for temperature in ({}, {"temperature": 1.5}, {"temperature": 1})
    )
    assert len(set(drawn)) > 1, "all tokens are drawn from"
    assert drawn == hotter, "the temperature is still that of the files"
    assert drawn != cooler


def test_each_of_several_end_tokens_ends_an_answer(told: Told) -> None:
    first, second = {"logit_bias": {END: 100}}, {"logit_bias": {told.greedy[-1]: 100}}
    assert told.answer(**first) == told.answer(**second) == ("", "stop", 1)
    assert told.answer(**second, min_tokens=3) == (told.tokenizer.decode(told.greedy[:3]), "stop", 4)
    goes_on = told.tokenizer.decode([told.greedy[-1]] * 8)
    assert told.answer(**second, ignore_eos=True) == (goes_on, "length", 8)


def test_a_template_that_knows_the_role_developer_is_given_it(told: Told) -> None:
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "The kettle"}]
    text = told.tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "The developer: Be brief.\nThe kettle\n"
    ids = told.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert told.served.post({"model": "told", "messages": messages}, path="/tokenize").json()["tokens"] == ids
    asked = {"model": "told", "max_tokens": 8}
    chat = told.served.post({**asked, "messages": messages}, path="/v1/chat/completions").json()
    plain = told.served.post({**asked, "prompt": ids}, path="/v1/completions").json()
    assert chat["choices"][0]["message"]["content"] == plain["choices"][0]["text"]


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
