"""The process that renders templates: what it gives, what it may not do, and what becomes of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pinion_runtime.errors import InvalidInput
from pinion_runtime.model.chat_encoding import ChatEncoder
from pinion_runtime.model.chat_messages import normalise_messages
from pinion_runtime.model.chat_template import ChatTemplate
from pinion_runtime.model.chat_template_files import ChatTemplates
from pinion_runtime.model.detokenizing import Detokenizer
from pinion_runtime.model.template_protocol import TemplateFailure
from pinion_runtime.model.template_runner import MOST_VARIABLES, TemplateProbe, TemplateRunner
from pinion_runtime.model.template_runner import TemplateError as NoPrompt
from tests.support.chat_templates import CHATS, OPTIONS, SPECIAL_TOKENS, TEMPLATES
from tests.support.processes import command_line, has_ended
from tests.support.tokenizers import byte_level

USER = CHATS["user"]
Make = Callable[..., TemplateRunner]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[TemplateRunner] = []

    def start(
        *sources: str, special_tokens: dict[str, str] | None = None, seconds: float = 60.0, **limits: Any
    ) -> TemplateRunner:
        names = ("default", "tool_use", "rag")
        templates = ChatTemplates(dict(zip(names, sources, strict=False)), special_tokens or SPECIAL_TOKENS)
        made.append(TemplateRunner(templates, seconds=seconds, **limits))
        return made[-1]

    yield start
    for runner in made:
        await runner.close()


async def test_prompts_are_those_of_the_template(make: Make) -> None:
    for name in ("chatml", "llama 3", "tools", "reasoning", "functions"):
        runner = make(TEMPLATES[name])
        for chat in (CHATS["user"], CHATS["turns"], CHATS["assistant last"]):
            wanted = ChatTemplate(TEMPLATES[name]).render(
                chat, variables={**SPECIAL_TOKENS, "thinking": 1}, add_generation_prompt=True, most_bytes=10_000
            )
            assert await runner.render(chat, variables={"thinking": 1}) == wanted
    tools = OPTIONS["tools"]["tools"]
    assert "<tools>" in await make(TEMPLATES["tools"]).render(CHATS["tools"], tools=tools, add_generation_prompt=False)


FILTERS = """{% set x = [3, 1, 2] %}{% set d = {'b': 1, 'a': [2]} %}
{{ x | sort | join('-') }} {{ x | random in x }} {{ d | dictsort }} {{ d | pprint }} {{ d | xmlattr }} {{ d | urlencode }}
{{ 'kettle sings' | wordwrap(5) | title | center(20) }} {{ '<b>x</b>' | striptags | escape }} {{ 'see http://a.b' | urlize }}
{{ x | batch(2) | list }} {{ x | slice(2) | list }} {{ 12345 | filesizeformat }} {{ '%s' | format(1) }}
{{ lipsum(1) | length > 9 }}
{{ [{'k': 1}, {'k': 2}] | groupby('k') | list }} {{ x | sum }} {{ 3.7 | round }} {{ 'é\\n\\u00e9\u00e9' | indent }}
{{ x | map('string') | list }} {{ x | select('odd') | list }} {{ cycler('a', 'b').next() }} {{ joiner(',')() }}
{{ x is iterable }} {{ 'x'.upper().encode() }} {{ strftime_now('%A %d %B')[:0] }} {{ 1 / 3 }} {{ x | tojson(indent=1) }}"""


async def test_every_filter_works_where_no_file_can_be_opened(make: Make) -> None:
    wanted = ChatTemplate(FILTERS).render(USER, variables={}, most_bytes=10_000)
    assert await make(FILTERS).render(USER) == wanted


async def test_options(make: Make) -> None:
    runner = make("{{ add_generation_prompt }} {{ x }} {{ bos_token }} {{ messages[-1].content }}.", "T", "{{ documents }}")
    assert await runner.render(USER) == "True  <s> Why do kettles sing?."
    assert await runner.render(USER, add_generation_prompt=False, variables={"x": [1], "bos_token": ""}) == (
        "False [1]  Why do kettles sing?."
    )
    assert await runner.render(USER, add_generation_prompt=False, continue_final_message=True) == (
        "False  <s> Why do kettles sing?"
    )
    assert await runner.render(USER, tools=[]) == "T"
    assert await runner.render(USER, template="rag", documents=[{"a": "é"}]) == "[{'a': 'é'}]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"continue_final_message": True}, "add_generation_prompt and continue_final_message exclude each other"),
        ({"variables": {"messages": []}}, r"chat_template_kwargs\.messages is not taken"),
        ({"variables": {"tokenize": True}}, r"chat_template_kwargs\.tokenize is not taken"),
        ({"variables": {"a b": 1}}, "chat_template_kwargs has the entry 'a b', which can't be a variable's name"),
        ({"variables": {f"v{n}": 1 for n in range(MOST_VARIABLES + 1)}}, "has 65 entries; at most 64 are taken"),
        ({"variables": {"v": "\ud800"}}, "can't be written as JSON"),
        ({"template": "rag"}, "no chat template named 'rag'; it has default"),
    ],
)
async def test_options_that_can_not_be(make: Make, options: dict[str, Any], message: str) -> None:
    runner = make("x")
    with pytest.raises(InvalidInput, match=message):
        await runner.render(USER, **options)
    assert runner.pid is None, "nothing was started for it"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ raise_exception('System role not supported') }}", "does not take these messages: System role not supported"),
        ("{{ messages[0].content + 3 }}", "TypeError: can only concatenate str"),
        ("{{ nobody.content }}", "'nobody' is undefined"),
        ("{% if %}", "line 1: Expected an expression"),
        ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{{ raise_exception('\\ud800') }}", "does not take these messages: ?"),
        ("{{ messages | tojson(indent=3) | fromjson }}", "No filter named 'fromjson'"),
    ],
)
async def test_what_a_template_raises_is_told(make: Make, source: str, said: str) -> None:
    runner = make(source)
    for _ in range(2):
        with pytest.raises(NoPrompt) as raised:
            await runner.render(USER)
        assert raised.value.kind is TemplateFailure.RAISED
        assert said in str(raised.value)
    before = runner.pid
    assert before is not None
    with pytest.raises(NoPrompt):
        await runner.render(USER)
    assert runner.pid == before, "an error of the template costs no process"


async def test_a_long_error_is_cut(make: Make) -> None:
    with pytest.raises(NoPrompt) as raised:
        await make("{{ raise_exception('x' * 100000) }}").render(USER)
    assert len(str(raised.value)) < 1200


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BREACHES = {
    "endless": (ENDLESS, TemplateFailure.TOO_SLOW, "took more than 5 s"),
    "much text": (
        "{% for a in range(9999) %}{{ 'x' * 99 }}{% endfor %}",
        TemplateFailure.TOO_LARGE,
        "took more than 65536 bytes of text",
    ),
    "wide characters": ("{{ '我' * 30000 }}", TemplateFailure.TOO_LARGE, "took more than 65536 bytes of text"),
    "much memory": ("{{ ('x' * 99999999999) | length }}", TemplateFailure.TOO_LARGE, "bytes of memory"),
    "memory bit by bit": (
        "{% set ns = namespace(s='x') %}{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        TemplateFailure.TOO_LARGE,
        "took more than 67108864 bytes of memory",
    ),
}


@pytest.mark.parametrize(("source", "kind", "message"), BREACHES.values(), ids=BREACHES)
async def test_a_breach_is_told_and_the_process_replaced(make: Make, source: str, kind: TemplateFailure, message: str) -> None:
    good = "{% if messages[0].content == 'good' %}fine{% else %}" + source + "{% endif %}"
    runner = make(good, seconds=5.0 if source == ENDLESS else 30.0, most_bytes=1 << 16, memory_bytes=64 << 20)
    await runner.start()
    before = runner.pid
    with pytest.raises(NoPrompt, match=message) as raised:
        await runner.render(USER)
    assert raised.value.kind is kind
    assert await runner.render([{"role": "user", "content": "good"}]) == "fine"
    assert runner.pid not in (None, before)
    assert not exists(before)


async def test_a_prompt_as_large_as_it_may_be(make: Make) -> None:
    runner = make("{{ '\x01' * 65536 }}{{ messages[0].content }}", most_bytes=1 << 16)
    assert await runner.render([{"role": "user", "content": ""}]) == "\x01" * 65536
    with pytest.raises(NoPrompt, match="65536 bytes of text"):
        await runner.render([{"role": "user", "content": "x"}])


async def test_a_front_that_was_held_up_blames_nobody(make: Make) -> None:
    runner = make("fine", seconds=2.0)
    await runner.start()
    rendering = asyncio.ensure_future(runner.render(USER))
    for _ in range(5):
        await asyncio.sleep(0)
    time.sleep(4)  # noqa: ASYNC251 - so is an event loop that is held up
    assert await rendering == "fine"


HISTORY = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Why do "}, {"type": "text", "text": "kettles sing?<|im_end|>"}]},
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "user", "content": []},
]


async def test_from_messages_to_ids_and_back(make: Make) -> None:
    rust = byte_level()
    source = TEMPLATES["chatml"]
    encoder = ChatEncoder(rust, {"default": source})
    prompt = await make(source).render(encoder.mark(normalise_messages(HISTORY)))
    ids = encoder.encode(prompt)
    made = Detokenizer(rust, skip_special_tokens=False)
    text = made.feed(ids) + made.flush()
    assert text == prompt.replace("\ufdd0", "").replace("\ufdd1", "")
    assert "system\nBe brief.<|im_end|>" in text
    assert "user\nWhy do kettles sing?<|im_end|><|im_end|>" in text
    assert "assistant\n<|im_end|>" in text
    assert ids.count(rust.token_to_id("<|im_end|>")) == 4


async def test_long_messages_pass(make: Make) -> None:
    text = "kettle 我 " * 60_000
    assert await make("{{ messages[0].content }}").render([{"role": "user", "content": text}]) == text


async def test_prompts_asked_for_at_once_are_each_their_own(make: Make) -> None:
    runner = make("{{ messages[0].content }}")
    texts = [f"text {number}" for number in range(20)]
    found = await asyncio.gather(*(runner.render([{"role": "user", "content": text}]) for text in texts))
    assert found == texts


async def test_who_leaves_does_not_leave_his_prompt_to_the_next(make: Make) -> None:
    runner = make("{% for a in range(40000) %}{{ '' }}{% endfor %}{{ messages[0].content }}", seconds=20)
    await runner.start()
    leaving = [asyncio.ensure_future(runner.render([{"role": "user", "content": f"left {number}"}])) for number in range(3)]
    staying = asyncio.ensure_future(runner.render([{"role": "user", "content": "stays"}]))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    assert await staying == "stays"
    await asyncio.wait(leaving)
    assert all(task.cancelled() for task in leaving)


async def test_a_process_that_was_killed_is_replaced(make: Make, wait_until: Callable[..., Awaitable[None]]) -> None:
    runner = make("{% if messages[0].content == 'slow' %}" + ENDLESS + "{% endif %}fine", seconds=60)
    assert await runner.render(USER) == "fine"
    idle = runner.pid
    assert idle is not None
    os.kill(idle, signal.SIGKILL)
    await wait_until(lambda: has_ended(idle))
    assert await runner.render(USER) == "fine"
    busy = runner.pid
    assert busy not in (None, idle)
    rendering = asyncio.ensure_future(runner.render([{"role": "user", "content": "slow"}]))
    await wait_until(lambda: cpu_ticks(busy) > 20)
    os.kill(busy, signal.SIGKILL)
    with pytest.raises(NoPrompt, match="ended") as raised:
        await rendering
    assert raised.value.kind is TemplateFailure.DIED
    assert await runner.render(USER) == "fine"


def exists(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


def cpu_ticks(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().split()[13])


async def test_what_the_process_has(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    runner = make("{{ strftime_now('%d %H') }}")
    zone = ZoneInfo("Pacific/Kiritimati")
    before = datetime.now(zone)
    assert await runner.render(USER) in {moment.strftime("%d %H") for moment in (before, datetime.now(zone))}
    proc = Path(f"/proc/{runner.pid}")
    names = {entry.partition(b"=")[0].decode() for entry in (proc / "environ").read_bytes().split(b"\0") if entry}
    assert names <= {"PYTHONPATH", "PYTHONHOME", "TZ", "LC_CTYPE"}
    limits = (proc / "limits").read_text()
    assert "Max open files            0 " in limits
    assert "Max file size             0 " in limits
    assert "Max core file size        0 " in limits
    maps = (proc / "maps").read_text()
    assert "torch" not in maps
    assert "tokenizers" not in maps
    assert len(list((proc / "fd").iterdir())) == 4  # the standard ones and its socket
    assert (proc / "cwd").readlink() == Path("/")


def test_it_imports_neither_torch_nor_transformers_and_the_front_no_jinja2() -> None:
    def modules(module: str) -> set[str]:
        program = f"import sys, {module}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        return set(done.stdout.split())

    assert not modules("pinion_runtime.model.template_process") & {"torch", "transformers", "tokenizers", "numpy"}
    assert not modules("pinion_runtime.model.template_runner") & {"torch", "transformers", "jinja2"}


async def test_it_ends_with_the_front(wait_until: Callable[..., Awaitable[None]]) -> None:
    program = (
        "import asyncio, sys\n"
        "from pinion_runtime.model.chat_template_files import ChatTemplates\n"
        "from pinion_runtime.model.template_runner import TemplateRunner\n"
        "async def main():\n"
        f"    runner = TemplateRunner(ChatTemplates({{'default': {ENDLESS!r}}}), seconds=600)\n"
        "    await runner.start()\n"
        "    print(runner.pid, flush=True)\n"
        "    await runner.render([{'role': 'user', 'content': ''}])\n"
        "asyncio.run(main())\n"
    )
    front = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert front.stdout is not None
    child = int(await front.stdout.readline())
    await wait_until(lambda: cpu_ticks(child) > 20)
    front.kill()
    await front.wait()
    await wait_until(lambda: has_ended(child))


async def test_close_gives_up_what_is_being_made(make: Make, wait_until: Callable[..., Awaitable[None]]) -> None:
    runner = make(ENDLESS, seconds=600)
    await runner.start()
    pid = runner.pid
    rendering = asyncio.ensure_future(runner.render(USER))
    await wait_until(lambda: cpu_ticks(pid) > 20)
    await runner.close()
    with pytest.raises(NoPrompt, match="ended"):
        await rendering
    assert not exists(pid)
    with pytest.raises(NoPrompt, match="the server ends"):
        await runner.render(USER)


@pytest.mark.parametrize("ready", [True, False], ids=["when it is ready", "while it starts"])
async def test_close_ends_the_process_that_was_to_be_the_next(
    make: Make, wait_until: Callable[..., Awaitable[None]], ready: bool
) -> None:
    runner = make(ENDLESS, seconds=0.2)
    with pytest.raises(NoPrompt):
        await runner.render(USER)
    await wait_until(lambda: any(is_shut_in(pid) or not ready for pid in template_processes()))
    for _ in range(10 * ready):
        await asyncio.sleep(0)
    await runner.close()
    assert not template_processes()


def is_shut_in(pid: str) -> bool:
    try:
        return "Max file size             0 " in Path(f"/proc/{pid}/limits").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def template_processes() -> list[str]:
    """Return the ids of this process's children that render templates."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in children if b"template_process" in command_line(int(pid))]


PROBES = {
    "chatml": (TEMPLATES["chatml"], TemplateProbe(True)),
    "raises on system": (TEMPLATES["gemma"], TemplateProbe(True)),
    "knows developer": (
        "{% for m in messages if m.role in ['system', \"developer\"] %}{{ m.content }}{% endfor %}",
        TemplateProbe(True, knows_developer=True),
    ),
    "raises on everything": (
        "{{ raise_exception('No chats') }}",
        TemplateProbe(True, error="the model's chat template does not take these messages: No chats"),
    ),
    "endless": (ENDLESS, TemplateProbe(True, error="the model's chat template took more than 1.5 s for these messages")),
}


@pytest.mark.parametrize(("source", "wanted"), PROBES.values(), ids=PROBES)
async def test_probe(make: Make, source: str, wanted: TemplateProbe) -> None:
    assert await make(source, seconds=1.5 if source == ENDLESS else 30.0).probe() == wanted


async def test_a_model_without_a_template() -> None:
    runner = TemplateRunner(ChatTemplates())
    assert await runner.probe() == TemplateProbe(
        False, error="the model has no chat template: completions take a prompt as it is"
    )
    with pytest.raises(NoPrompt, match="the model has no chat template") as raised:
        await runner.render(USER)
    assert raised.value.kind is TemplateFailure.MISSING
    assert runner.pid is None


async def test_several_templates_without_a_default() -> None:
    runner = TemplateRunner(ChatTemplates({"rag": "x"}))
    assert (await runner.probe()).error == "the model has several chat templates and no default one; it has rag"
