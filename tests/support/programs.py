"""Tests marked `needs_program("java")` are left out where the machine has no such program, and a line at the end says so.

Left out, not skipped: `tests.run` counts a skip as a failure.
"""

import shutil
from collections import Counter
from typing import Any

import pytest

_LEFT_OUT = pytest.StashKey[Counter[str]]()
_FROM_WORKERS = "left_out_for_programs"  # in what a worker of pytest-xdist hands back


@pytest.hookimpl(trylast=True)  # of what is left after `-k` and `-m`
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [(item, lacking) for item in items if (lacking := _lacking(item))]
    config.stash[_LEFT_OUT] = Counter(program for _, lacking in left_out for program in lacking)
    if left_out:
        gone = [item for item, _ in left_out]
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # only workers collect
        session.config.workeroutput[_FROM_WORKERS] = dict(session.config.stash[_LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # Each worker collects everything: what one says holds for all.
    node.config.stash[_LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get(_FROM_WORKERS, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for program, tests in sorted(config.stash.get(_LEFT_OUT, Counter()).items()):
        terminalreporter.write_line(f"left out, for there is no {program} here: {tests} {'test' if tests == 1 else 'tests'}")


def _lacking(item: pytest.Item) -> list[str]:
    needed = {program for mark in item.iter_markers("needs_program") for program in mark.args}
    return sorted(program for program in needed if shutil.which(program) is None)
