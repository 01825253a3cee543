"""Pages of the docs whose examples are carried out: blocks of ```console, `$ ` before each command."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def examples(page: str) -> list[tuple[str, list[str]]]:
    """Return each command of a page with the lines that it shows below it."""
    blocks: list[str] = re.findall(r"^```console\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def carry_out(page: str, folder: Path, environment: Mapping[str, str]) -> int:
    """Carry out all examples in the page's order and return how many; raise AssertionError for another output than is shown."""
    told = examples(page)
    for command, shown in told:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        printed = done.stdout.decode().strip()
        assert re.fullmatch(_pattern(shown), printed, re.DOTALL), f"$ {command}\n{printed}\nand not what the page shows"
    return len(told)


def _pattern(lines: list[str]) -> str:
    """Return what matches the lines: … stands for anything, in a line or instead of lines."""
    return ".*".join(re.escape(part) for part in "\n".join(lines).split("…"))
