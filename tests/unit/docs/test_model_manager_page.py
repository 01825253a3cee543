"""Every example of the model manager's page, and of its notebook, gives what is shown."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pinion_ipfs import aio
from pinion_ipfs.manager import arguments
from pinion_ipfs.manager.blocking import ModelManager

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/model-manager.md").read_text()
CALLS = [name for name in vars(ModelManager) if not name.startswith("_")]
# As a kernel does it: on a loop that runs, in one set of names; what is printed, and the value of a last expression, is shown.
KERNEL = """
import ast, asyncio, contextlib, io, json, sys

async def execute(cells):
    names, shown = {"__name__": "__main__"}, []
    for cell in cells:
        tree, out = ast.parse(cell), io.StringIO()
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(out):
            exec(compile(tree, "<cell>", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None
        shown.append(out.getvalue() + ("" if value is None else repr(value)))
    return shown

print(json.dumps(asyncio.run(execute(json.load(sys.stdin)))))
"""


def run(command: Sequence[str], folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program where no Kubo is, and no variable chooses anything."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "KUBO_", "IPFS_", "ENABLE_"))}
    environment = {**kept, "HF_HOME": str(folder / "home"), "HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_every_example_gives_what_the_page_shows(tmp_path: Path) -> None:
    blocks: list[str] = re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "examples.txt").write_text("\n".join(blocks))
    done = run(["-m", "doctest", "-o", "ELLIPSIS", "examples.txt"], tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert len(blocks) > 5


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_in_the_table_and_has_a_twin(call: str) -> None:
    assert re.search(rf"^\| `{call}\(", PAGE, re.MULTILINE)
    assert hasattr(aio.ModelManager, call)


def test_the_numbers_are_those_of_the_code() -> None:
    most = (
        f"{arguments.MAX_NAME} characters in a name or a tag, {arguments.MAX_TAGS} tags, {arguments.MAX_METADATA // 1024} KiB"
    )
    assert most in PAGE.replace("\n", " ")


def source_of(part: Any) -> str:
    return part if isinstance(part, str) else "".join(part)


def shown_by(cell: dict[str, Any]) -> str:
    """Return what a cell shows below it."""
    texts = (each["text"] if each["output_type"] == "stream" else each["data"]["text/plain"] for each in cell["outputs"])
    return "".join(map(source_of, texts))


def test_the_notebook_gives_what_it_shows_and_leaves_nothing(tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "examples/notebooks/model-manager.ipynb").read_bytes())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    done = run(["-c", KERNEL], tmp_path, json.dumps([source_of(cell["source"]) for cell in cells]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [shown_by(cell) for cell in cells]
    assert list(tmp_path.iterdir()) == []
