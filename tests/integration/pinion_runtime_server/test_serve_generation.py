"""A decoder over HTTP, by the official clients and by hand: the tokens are those of transformers' own generate."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList

from pinion_contract import metric_names as names
from tests.support.chat_clients import CLIENTS, Question
from tests.support.decoders import END, PAD, make_decoder, prompt_of
from tests.support.hub import Hub
from tests.support.serve import Serve, Served

pytestmark = pytest.mark.model

NAME = "tiny-llama"
CONTEXT = 256
TEMPLATE = (
    "{{ bos_token }}{% for document in documents or [] %}{{ document.text + '\n' }}{% endfor %}"
    "{% for message in messages %}"
    "{% if message.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "{{ '<|' + message.role + '|>' + message.content + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    # What takes too long, or is too much, where a caller's variables ask for it.
    "{% for outer in range(rounds or 0) %}{% for inner in range(rounds) %}{% endfor %}{% endfor %}{{ 'x' * (letters or 0) }}"
)
CHAT = "/v1/chat/completions"
USER: Any = [{"role": "user", "content": "The kettle sings before"}]
BEGUN: Any = [*USER, {"role": "assistant", "content": "the water, "}]


class Oracle:
    """The same model in this process."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def prompt(self, messages: list[dict[str, str]], **options: Any) -> list[int]:
        """Return the token ids of a chat; without options an answer is begun."""
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, **(options or {"add_generation_prompt": True}))
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def chat(self, messages: list[dict[str, str]], tokens: int, **options: Any) -> str:
        """Return the answer to a chat, greedy."""
        return self._continue(self.prompt(messages, **options), tokens)

    def complete(self, text: str, tokens: int) -> str:
        """Return what follows a text, greedy."""
        return self._continue(self.tokenizer(text)["input_ids"], tokens)

    def _continue(self, ids: list[int], tokens: int) -> str:
        return str(self.tokenizer.decode(self.continued(ids, tokens)))

    def continued(self, ids: list[int], tokens: int, **options: Any) -> list[int]:
        """Return the ids that follow these, greedy."""
        with torch.inference_mode():
            prompt = torch.tensor([ids])
            found = self.model.generate(prompt, do_sample=False, max_new_tokens=tokens, pad_token_id=PAD, **options)
        return [number for number in found[0, len(ids) :].tolist() if number != END]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_decoder(tmp_path_factory.mktemp("decoder") / NAME, "llama")
    (made / "chat_template.jinja").write_text(TEMPLATE)
    return made


@pytest.fixture(scope="module")
def oracle(folder: Path) -> Oracle:
    return Oracle(folder)


@pytest.fixture(scope="module")
def served(hub: Hub, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    starter = Serve(hub, tmp_path_factory.mktemp("serve"), tmp_path_factory.mktemp("cache"))
    try:
        running = starter.local(str(folder), NAME)
        running.wait_ready()
        yield running
    finally:
        starter.stop_all()


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.base}/v1", api_key="none", max_retries=0, timeout=60) as made:
        yield made


def ask(served: Served, path: str = "/v1/completions", **fields: Any) -> httpx.Response:
    base: dict[str, Any] = {"model": NAME, "max_tokens": 8, "temperature": 0}
    prompt = {"messages": USER} if "chat" in path else {"prompt": "The kettle"}
    return served.post({**base, **prompt, **fields}, path=path)


def events(answer: httpx.Response) -> list[Any]:
    """Return the data of a stream's events; the last is "[DONE]" where nothing is missing."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    blocks = answer.text.split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks), "one event is one line of data"
    data = [block.removeprefix("data: ") for block in blocks]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def test_the_pod_says_what_it_serves(served: Served) -> None:
    model = served.status().model
    assert (model.task, model.engine, model.engine_reason) == ("text-generation", "transformers/slots", "")
    assert (model.context_length, model.chat, model.chat_reason) == (CONTEXT, True, "")
    assert model.max_sequences > 1


# --- the clients of others


def test_openai_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=NAME, messages=USER, max_tokens=12, temperature=0)
    (choice,) = answer.choices
    assert (choice.message.role, choice.finish_reason) == ("assistant", "length")
    assert answer.usage is not None
    assert (answer.usage.completion_tokens, answer.usage.total_tokens) == (12, answer.usage.prompt_tokens + 12)


def test_openai_chat_stream(client: openai.OpenAI, oracle: Oracle) -> None:
    options: Any = {"include_usage": True}
    stream = client.chat.completions.create(
        model=NAME, messages=USER, max_completion_tokens=12, temperature=0, stream=True, stream_options=options
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == oracle.chat(USER, 12)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.completion_tokens == 12


async def test_openai_async(served: Served, oracle: Oracle) -> None:
    async with openai.AsyncOpenAI(base_url=f"{served.base}/v1", api_key="none", max_retries=0, timeout=60) as client:

        async def complete(prompt: str) -> str:
            answer = await client.completions.create(model=NAME, prompt=prompt, max_tokens=9, temperature=0)
            return answer.choices[0].text

        prompts = ["The kettle", "A heron stands in the shallow river and waits", "Numbers such as 42", "Bread"]
        assert await asyncio.gather(*map(complete, prompts)) == [oracle.complete(prompt, 9) for prompt in prompts]


@pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS)
def test_chats_by_the_clients_that_people_have(served: Served, oracle: Oracle, ask: Callable[[Question], str]) -> None:
    assert ask(Question(served.base, NAME, USER[0]["content"], 12)) == oracle.chat(USER, 12)


# --- by hand


@pytest.mark.parametrize("model", [NAME, "dummy", "http://127.0.0.1:8080", "HTTPS://models.example/chat/v1"])
def test_clients_that_were_given_a_url_and_no_name_are_answered(served: Served, oracle: Oracle, model: str) -> None:
    answer = ask(served, CHAT, model=model)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == NAME
    assert answer.json()["choices"][0]["message"]["content"] == oracle.chat(USER, 8)


@pytest.mark.parametrize("model", ["gpt-4", "http", "http:/127.0.0.1", "dummy-2", "ftp://127.0.0.1/x"])
def test_another_model_is_not_answered_for(served: Served, model: str) -> None:
    for path in (CHAT, "/v1/completions"):
        answer = ask(served, path, model=model)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model"), error
        assert repr(NAME) in error["message"]


def test_the_model_is_listed(served: Served) -> None:
    models = f"{served.base}/v1/models"
    assert [one["id"] for one in httpx.get(models, timeout=60).json()["data"]] == [NAME]
    assert httpx.get(f"{models}/{NAME}", timeout=60).json()["id"] == NAME
    assert httpx.get(f"{models}/nosuch", timeout=60).status_code == 404


@pytest.mark.parametrize("stream", [False, True])
def test_prompts_and_choices_have_their_places(served: Served, oracle: Oracle, stream: bool) -> None:
    prompts = ["The kettle", "A heron stands"]
    answer = ask(served, prompt=prompts, n=2, stream=stream)
    texts = ["", "", "", ""]
    parts = events(answer)[:-1] if stream else [answer.json()]
    for part in parts:
        for choice in part["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == [oracle.complete(prompt, 8) for prompt in prompts for _ in range(2)]


def test_ids_are_a_prompt(served: Served, oracle: Oracle) -> None:
    ids = oracle.tokenizer("The kettle")["input_ids"]
    assert ask(served, prompt=ids).json()["choices"][0]["text"] == oracle.complete("The kettle", 8)
    assert ask(served, prompt=[ids, ids]).json()["usage"]["prompt_tokens"] == 2 * len(ids)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_prompt_that_ends_inside_a_character_is_no_part_of_the_answer(served: Served, oracle: Oracle, stream: bool) -> None:
    ids = oracle.tokenizer("spool \N{GRINNING FACE}", add_special_tokens=False)["input_ids"]
    assert len(ids) > len(oracle.tokenizer("spool", add_special_tokens=False)["input_ids"]) + 2, "the character is one token"
    answer = ask(served, prompt=ids[:-1], max_tokens=12, stream=stream)
    parts = events(answer)[:-1] if stream else [answer.json()]
    texts = [part["choices"][0]["text"] for part in parts]
    ids_of_answer = oracle.continued(ids[:-1], 12)
    assert "".join(texts) == oracle.tokenizer.decode(ids_of_answer), texts


def test_a_prompt_is_echoed(served: Served, oracle: Oracle) -> None:
    whole = ask(served, echo=True).json()["choices"][0]["text"]
    assert whole == "The kettle" + oracle.complete("The kettle", 8)
    streamed = events(ask(served, echo=True, stream=True))[:-1]
    assert "".join(part["choices"][0]["text"] for part in streamed) == whole
    nothing = ask(served, echo=True, max_tokens=0).json()
    assert (nothing["choices"][0]["text"], nothing["choices"][0]["finish_reason"]) == ("The kettle", "length")
    assert nothing["usage"]["completion_tokens"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_an_answer_before_itself(served: Served, oracle: Oracle, stream: bool) -> None:
    text = oracle.complete("The kettle", 30)
    stop = text[9:13]
    expected = text[: text.index(stop)]
    answer = ask(served, max_tokens=30, stop=["never comes", stop], stream=stream)
    parts = events(answer)[:-1] if stream else [answer.json()]
    assert "".join(part["choices"][0]["text"] for part in parts) == expected
    assert parts[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_stop_string_that_never_comes_holds_nothing_back(served: Served, oracle: Oracle) -> None:
    parts = events(ask(served, max_tokens=3, stop=["x" * 200], stream=True))
    assert parts.pop() == "[DONE]"
    texts = [part["choices"][0]["text"] for part in parts]
    assert "".join(texts) == oracle.complete("The kettle", 3)
    assert all(texts[:-1]), "only the last event, which says why it ended, may be without text"


def test_a_seed_gives_its_text_again(served: Served) -> None:
    def draw(seed: int) -> str:
        return str(ask(served, temperature=1, seed=seed, max_tokens=20).json()["choices"][0]["text"])

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


@pytest.mark.parametrize(
    ("options", "told"), [(None, 0), ({}, 0), ({"include_usage": False}, 0), ({"include_usage": True}, 1)], ids=str
)
@pytest.mark.parametrize("path", ["/v1/completions", CHAT])
def test_usage_of_a_stream_is_told_when_asked_for(served: Served, path: str, options: Any, told: int) -> None:
    parts = events(ask(served, path, stream=True, **({} if options is None else {"stream_options": options})))
    assert parts.pop() == "[DONE]"
    assert [bool(part.get("usage")) for part in parts] == [False] * (len(parts) - told) + [True] * told
    if told:
        assert parts[-1]["choices"] == []


def test_log_probabilities_are_those_of_the_model(served: Served, oracle: Oracle) -> None:
    said = ask(served, CHAT, logprobs=True, top_logprobs=3, max_tokens=2).json()["choices"][0]["logprobs"]
    with torch.inference_mode():
        expected = oracle.model(torch.tensor([oracle.prompt(USER)])).logits[0, -1].log_softmax(-1).topk(3)
    first = said["content"][0]
    assert [one["logprob"] for one in first["top_logprobs"]] == pytest.approx(expected.values.tolist(), abs=1e-4)
    assert [one["token"] for one in first["top_logprobs"]] == [oracle.tokenizer.decode([i]) for i in expected.indices.tolist()]
    assert first["logprob"] == first["top_logprobs"][0]["logprob"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_log_probabilities_of_a_completion_have_their_places_in_its_text(served: Served, oracle: Oracle, stream: bool) -> None:
    prompt = oracle.tokenizer("kettle sings")["input_ids"]
    ids = oracle.continued(prompt, 5)
    tokens = [oracle.tokenizer.decode([number]) for number in ids]
    assert all(map(str.isascii, tokens)), "a part of a character has no place"
    answer = ask(served, prompt=prompt, max_tokens=5, logprobs=2, stream=stream)
    choices = [part["choices"][0] for part in (events(answer)[:-1] if stream else [answer.json()])]
    said = {name: [each for choice in choices for each in choice["logprobs"][name]] for name in choices[0]["logprobs"]}
    assert "".join(choice["text"] for choice in choices) == "".join(said["tokens"]) == "".join(tokens)
    assert said["tokens"] == tokens
    assert said["text_offset"] == [sum(map(len, tokens[:place])) for place in range(5)]
    with torch.inference_mode():
        likeliest = oracle.model(torch.tensor([prompt + ids])).logits[0, -6:-1].log_softmax(-1).topk(2)
    assert said["token_logprobs"] == pytest.approx(likeliest.values[:, 0].tolist(), abs=1e-4)
    for top, numbers, values in zip(said["top_logprobs"], likeliest.indices, likeliest.values, strict=True):
        assert top == pytest.approx(dict(zip(map(oracle.tokenizer.decode, numbers), values.tolist(), strict=True)), abs=1e-4)


ENDS_AT_ONCE = {"logit_bias": {END: 100}}


@pytest.mark.parametrize(
    ("fields", "kept", "ends", "tokens", "reason"),
    [
        (ENDS_AT_ONCE, 0, 0, 1, "stop"),
        (ENDS_AT_ONCE | {"min_tokens": 5}, 5, 0, 6, "stop"),
        (ENDS_AT_ONCE | {"min_tokens": 8}, 8, 0, 8, "length"),
        (ENDS_AT_ONCE | {"ignore_eos": True}, 0, 0, 8, "length"),
        (ENDS_AT_ONCE | {"ignore_eos": True, "skip_special_tokens": False}, 0, 8, 8, "length"),
        (ENDS_AT_ONCE | {"ignore_eos": True, "min_tokens": 8, "skip_special_tokens": False}, 0, 8, 8, "length"),
        (ENDS_AT_ONCE | {"ignore_eos": True, "stop_token_ids": [END]}, 0, 0, 1, "stop"),
        (ENDS_AT_ONCE | {"ignore_eos": True, "stop_token_ids": [END], "min_tokens": 5}, 5, 0, 6, "stop"),
        ({"stop_token_ids": [389, 72]}, 3, 0, 4, "stop"),  # the fifth and the fourth of the answer's tokens
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_ends_an_answer_and_what_keeps_it_from_its_end(
    served: Served, oracle: Oracle, stream: bool, fields: dict[str, Any], kept: int, ends: int, tokens: int, reason: str
) -> None:
    greedy = oracle.continued(oracle.tokenizer("The kettle")["input_ids"], 8)
    assert greedy[3:5] == [72, 389]
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer = ask(served, **fields, **options)
    parts = events(answer)[:-1] if stream else [answer.json()]
    choices = [choice for part in parts for choice in part["choices"]]
    assert "".join(choice["text"] for choice in choices) == oracle.tokenizer.decode(greedy[:kept]) + "</s>" * ends
    assert (choices[-1]["finish_reason"], parts[-1]["usage"]["completion_tokens"]) == (reason, tokens)


@pytest.mark.parametrize("name", ["repetition_penalty", "presence_penalty", "frequency_penalty"])
def test_a_penalty_changes_an_answer_that_repeats_itself(served: Served, oracle: Oracle, name: str) -> None:
    prompt, penalty = prompt_of(12), 1.5

    def subtract(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        counts = torch.bincount(ids[0, len(prompt) :], minlength=scores.shape[1])
        return scores - penalty * (counts if name == "frequency_penalty" else counts > 0)

    repeating = oracle.continued(prompt, 20)
    theirs: Any = {name: penalty} if name == "repetition_penalty" else {"logits_processor": LogitsProcessorList([subtract])}
    expected = oracle.continued(prompt, 20, **theirs)
    assert len(set(repeating)) < len(set(expected)), "it has more to say"
    cases: list[tuple[dict[str, Any], list[int]]] = [({}, repeating), ({name: penalty}, expected)]
    for fields, ids in cases:
        answer = ask(served, prompt=prompt, max_tokens=20, **fields)
        assert answer.json()["choices"][0]["text"] == oracle.tokenizer.decode(ids), fields


def test_a_prompt_that_came_before_is_not_computed_again(served: Served) -> None:
    messages = [{"role": "user", "content": "In the year 1887 two ships left the harbour, and nobody saw them again."}]
    first, second = (ask(served, CHAT, messages=messages).json() for _ in range(2))
    assert second["choices"] == first["choices"]
    usage = second["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= usage["prompt_tokens"] - 1


def test_a_history_may_have_empty_and_parted_messages(served: Served, oracle: Oracle) -> None:
    parts = [{"type": "text", "text": "The kettle"}, {"type": "text", "text": " sings"}]
    history: list[Any] = [
        {"role": "user", "content": "Tea?"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": parts},
    ]
    plain = [history[0], {"role": "assistant", "content": ""}, {"role": "user", "content": "The kettle sings"}]
    answer = ask(served, CHAT, messages=history)
    assert answer.json()["choices"][0]["message"]["content"] == oracle.chat(plain, 8), answer.text


DEVELOPER: Any = [{"role": "developer", "content": "Be brief."}, *USER]
AS_SYSTEM: Any = [{"role": "system", "content": "Be brief."}, *USER]  # for a template that does not name the role


@pytest.mark.parametrize(
    ("messages", "fields", "same", "options"),
    [
        (BEGUN, {"continue_final_message": True}, BEGUN, {"continue_final_message": True}),
        (BEGUN, {"continue_final_message": True, "add_generation_prompt": False}, BEGUN, {"continue_final_message": True}),
        (BEGUN, {"add_generation_prompt": False}, BEGUN, {"add_generation_prompt": False}),
        (BEGUN, {}, BEGUN, {"add_generation_prompt": True}),
        (DEVELOPER, {}, AS_SYSTEM, {"add_generation_prompt": True}),
    ],
    ids=["continued", "continued, said twice", "ended", "ended, and another begun", "developer"],
)
def test_a_prompt_is_what_transformers_makes_of_the_messages(
    served: Served, oracle: Oracle, messages: Any, fields: dict[str, Any], same: Any, options: dict[str, Any]
) -> None:
    tokenized = served.post({"model": NAME, "messages": messages, **fields}, path="/tokenize").json()
    assert tokenized["tokens"] == oracle.prompt(same, **options)
    expected = oracle.chat(same, 8, **options)
    assert ask(served, CHAT, messages=messages, **fields).json()["choices"][0]["message"]["content"] == expected
    streamed = events(ask(served, CHAT, messages=messages, stream=True, **fields))[:-1]
    assert "".join(part["choices"][0]["delta"].get("content", "") for part in streamed) == expected


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"rounds": 99_999}, "took more than 2 s"),
        ({"letters": 2 << 20}, "took more than 1048576 bytes of text"),
        ({"letters": 1 << 30}, "bytes of memory"),
    ],
    ids=["time", "text", "memory"],
)
def test_a_template_that_breaks_a_bound_is_refused_and_the_next_chat_answered(
    served: Served, oracle: Oracle, variables: dict[str, int], words: str
) -> None:
    code = "chat_template_limit"
    before = served.metric(names.ERRORS_TOTAL, error_type=code)
    answer = ask(served, CHAT, chat_template_kwargs=variables)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, "messages")
    assert words in error["message"]
    assert served.metric(names.ERRORS_TOTAL, error_type=code) == before + 1
    assert ask(served, CHAT).json()["choices"][0]["message"]["content"] == oracle.chat(USER, 8)


@pytest.mark.parametrize(
    ("path", "fields", "param", "words"),
    [
        ("/v1/completions", {"top_p": 0, "stream": True}, "top_p", "top_p"),
        ("/v1/completions", {"temperature": -1, "stream": True}, "temperature", "temperature"),
        ("/v1/completions", {"max_tokens": 300}, "prompt", "256"),
        ("/v1/completions", {"prompt": ["a", "word " * 400]}, "prompt[1]", "256"),
        ("/v1/completions", {"logit_bias": {"99999999": 1}}, "logit_bias.99999999", "no token 99999999"),
        ("/v1/completions", {"n": 100}, "n", "at most"),
        ("/v1/completions", {"prompt": [1, 10**6]}, "prompt", "1000000"),
        (CHAT, {"messages": [{"role": "tool", "content": "x"}]}, "messages", "no tools here"),
        (CHAT, {"messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "king"),
        (
            CHAT,
            {"chat_template_kwargs": {"documents": "a kettle"}},
            "chat_template_kwargs.documents",
            "list of objects",
        ),
        (CHAT, {"tools": [{"type": "function"}]}, "tools", "tools"),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "smell", "smell": "tea"}]}]},
            "messages[0].content[0]",
            "smell",
        ),
        (CHAT, {"max_tokens": 5, "max_completion_tokens": 9}, "max_completion_tokens", "twice"),
        (CHAT, {"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs.messages", "not taken"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    served: Served, path: str, fields: dict[str, Any], param: str, words: str
) -> None:
    answer = ask(served, path, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param), error
    assert words in error["message"]
    assert ask(served).status_code == 200


def test_vectors_are_not_given(served: Served) -> None:
    answer = served.post({"model": NAME, "input": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_task")


def test_tokens_of_a_text_and_of_a_chat(served: Served, oracle: Oracle) -> None:
    def tokenize(**fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = served.post({"model": NAME, **fields}, path="/tokenize").json()
        return found

    ids = oracle.tokenizer("The kettle sings")["input_ids"]
    assert tokenize(prompt="The kettle sings") == {"count": len(ids), "max_model_len": CONTEXT, "tokens": ids}
    assert tokenize(messages=USER)["tokens"] == oracle.prompt(USER)
    documents = [{"text": "A heron stands."}]
    found = tokenize(messages=USER, chat_template_kwargs={"documents": documents})
    assert found["tokens"] == oracle.prompt(USER, documents=documents, add_generation_prompt=True)
    back = served.post({"model": NAME, "tokens": ids}, path="/detokenize").json()
    assert back == {"prompt": oracle.tokenizer.decode(ids)}


def test_what_was_generated_is_counted(served: Served) -> None:
    def counted() -> dict[str, float]:
        return {
            "first": served.metric(names.TIME_TO_FIRST_TOKEN_SECONDS + "_count"),
            "next": served.metric(names.INTER_TOKEN_LATENCY_SECONDS + "_count"),
            "in": served.metric(names.TOKENS_TOTAL, direction="in"),
            "out": served.metric(names.TOKENS_TOTAL, direction="out"),
            "cached": served.metric(names.PREFIX_TOKENS_TOTAL),
            "length": served.metric(names.ANSWERS_TOTAL, finish_reason="length"),
            "stop": served.metric(names.ANSWERS_TOTAL, finish_reason="stop"),
        }

    fresh = list(range(300, 340))  # no other test's prompt begins so
    for fields, more in (  # one after the other: of a prompt that came before, all but the last token is there
        ({"n": 2, "max_tokens": 5}, {"first": 2, "next": 8, "in": 40, "out": 10, "cached": 0, "length": 2, "stop": 0}),
        ({"max_tokens": 5}, {"first": 1, "next": 4, "in": 40, "out": 5, "cached": 39, "length": 1, "stop": 0}),
        ({"logit_bias": {END: 100}}, {"first": 1, "next": 0, "in": 40, "out": 1, "cached": 39, "length": 0, "stop": 1}),
    ):
        before = counted()
        assert ask(served, prompt=fresh, **fields).status_code == 200
        after = counted()
        assert {name: after[name] - before[name] for name in after} == more, fields
    assert served.metric(names.QUEUE_DEPTH) == 0
    assert served.metric(names.KV_CACHE_TOKENS, state="used") == 0
    assert served.metric(names.KV_CACHE_TOKENS, state="free") == CONTEXT * served.status().model.max_sequences
