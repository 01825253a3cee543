"""The page of the HTTP interface is what the code says, and says it of everything."""

import shutil
from pathlib import Path

import pytest

from benchmarks.clients.vector_clients import VECTOR_CLIENTS
from pinion_contract.config import Limits
from pinion_runtime.server import reference
from pinion_runtime.server.codings import TAKEN
from pinion_runtime.server.errors import Code
from pinion_runtime.server.tasks.bodies import MOST_UNKNOWN
from pinion_runtime.server.tasks.fields import FIELDS

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / reference.PAGE).read_text()


def test_the_tables_are_current() -> None:
    assert reference.main(["check", "--root", str(ROOT)]) == 0


def test_every_field_is_in_one_table() -> None:
    tables = "".join(block.partition("<!-- end -->")[0] for block in PAGE.split("<!-- generated: ")[1:])
    for field in FIELDS:
        assert tables.count(f"`{field.name}`") >= 1, field.name


def test_every_route_limit_and_code_is_explained_and_no_other() -> None:
    assert {route for port in reference.served_routes() for route in port} == reference.ROUTES.keys()
    assert Limits.model_fields.keys() == reference.LIMITS.keys()
    assert {code.value for code in Code} == reference.CODES.keys()
    assert all(f"`{coding}`" in PAGE for coding in TAKEN)
    assert f"up to {MOST_UNKNOWN} such names" in PAGE


def test_every_client_that_is_tried_is_there_in_its_version_and_no_other() -> None:
    rows = PAGE.partition("## Clients\n")[2].replace("`", "").splitlines()
    listed = [row.split(" | ")[:2] for row in rows if row.startswith("| ")][1:]
    tried = [[f"| {client.name}", client.versions or listed[place][1]] for place, client in enumerate(VECTOR_CLIENTS)]
    assert listed == tried


def test_a_page_that_is_behind_is_named_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / reference.PAGE
    path.parent.mkdir()
    shutil.copy(ROOT / reference.PAGE, path)
    path.write_text(PAGE.replace("| `prompt_name` |", "| `prompt_nam` |"))
    assert reference.main(["check", "--root", str(tmp_path)]) == 1
    assert "make generate" in capsys.readouterr().err
    assert reference.main(["write", "--root", str(tmp_path)]) == 0
    assert path.read_text() == PAGE
