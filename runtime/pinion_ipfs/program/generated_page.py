"""The command of a page of the docs that is made from code: write it, or check that it is what would be written."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with what stands between `<!-- generated: NAME -->` and `<!-- end -->` made anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{tables[found[2]]()}\n{found[3]}", page)


def write_or_check(
    program: str, description: str | None, page: Path, render: Callable[[str], str], arguments: Sequence[str] | None = None
) -> int:
    """Write `page`, or say that it is not what would be written; return the exit status, 1 in that case.

    `render` gets what the page holds now, '' when there is none.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("action", choices=("write", "check"))
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository root (default: the working directory)")
    options = parser.parse_args(arguments)
    path: Path = options.root / page
    known = path.read_text("utf-8") if path.is_file() else ""
    text = render(known)
    if text == known:
        return 0
    if options.action == "check":
        print(f"{path} is not what the code says: run `make generate`", file=sys.stderr)
        return 1
    path.write_text(text, "utf-8")
    print(f"wrote {path}")
    return 0
