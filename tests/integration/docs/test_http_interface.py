"""Every example of the page of the HTTP interface is carried out, and gives what the page shows."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.serve import Served

pytestmark = pytest.mark.model

PAGE = (Path(__file__).resolve().parents[3] / "docs/http-interface.md").read_text()
BASE = "http://127.0.0.1:8080"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ASKED = [(text, BLOCKS[at + 1][1]) for at, (language, text) in enumerate(BLOCKS) if not language]
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
PRECISION = 5e-5  # of numbers with four decimals


def carry_out(command: str, base: str) -> httpx.Response:
    """Send what a curl command sends; it may have a URL, -s, -H and -d."""
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "curl"
    options = {word: words[at + 1] for at, word in enumerate(words) if word in ("-H", "-d")}
    (url,) = (word for word in words if word.startswith(BASE))
    assert words == ["-s", url, "-H", options["-H"], "-d", options["-d"]], "the test does not know what this asks"
    name, value = options["-H"].split(": ")
    return httpx.post(url.replace(BASE, base), content=options["-d"], headers={name: value}, timeout=60, verify=False)


def assert_shown(shown: Any, found: Any) -> None:
    """Compare as a reader does: numbers to their decimals, a list that ends in … by its beginning."""
    if isinstance(shown, dict):
        assert shown.keys() == found.keys()
        for key, value in shown.items():
            assert_shown(value, found[key])
    elif isinstance(shown, list):
        if shown[-1:] == ["…"]:
            shown, found = shown[:-1], found[: len(shown) - 1]
        assert len(shown) == len(found)
        for one, other in zip(shown, found, strict=True):
            assert_shown(one, other)
    elif isinstance(shown, float):
        assert shown == pytest.approx(found, abs=PRECISION)
    else:
        assert shown == found


@pytest.mark.parametrize(("command", "answer"), ASKED, ids=range(len(ASKED)))
def test_a_command_gives_the_answer_below_it(minilm_served: Served, command: str, answer: str) -> None:
    assert_shown(json.loads(answer), carry_out(command, minilm_served.base).json())


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_prints_what_stands_beside(minilm_served: Served, program: str) -> None:
    printed = io.StringIO()
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(printed):
        exec(program.replace(BASE, minilm_served.base), names)
    if hasattr(names["client"], "close"):
        names["client"].close()
    assert printed.getvalue().splitlines() == re.findall(r"  # (.*)$", program, re.MULTILINE)


def test_there_are_examples_of_both_kinds() -> None:
    assert len(ASKED) >= 3
    assert len(PROGRAMS) >= 2
