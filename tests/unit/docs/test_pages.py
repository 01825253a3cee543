"""The pages say what is: every condition and reason, every alert, every link."""

import re
from pathlib import Path

import pytest

from pinion_operator.conditions import ConditionType, Reason

ROOT = Path(__file__).resolve().parents[3]
STATUS = (ROOT / "docs/status-and-conditions.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
_CODE = set(re.findall(r"`([A-Za-z]+)`", STATUS))


@pytest.mark.parametrize("type_", list(ConditionType))
def test_a_condition_is_explained(type_: ConditionType) -> None:
    assert type_.value in _CODE


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_is_explained(reason: Reason) -> None:
    assert reason.value in _CODE


def test_nothing_is_explained_that_does_not_exist() -> None:
    rows = re.findall(r"^\| (`[A-Z][^|]*`) \|", STATUS, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([A-Za-z]+)`", row)}
    assert named <= {*ConditionType, *Reason}, named - {*ConditionType, *Reason}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
