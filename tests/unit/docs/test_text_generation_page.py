"""The page of text generation is what the code says, and tells of every client that is tried."""

from pathlib import Path

from benchmarks.clients.text_clients import TEXT_CLIENTS
from pinion_runtime.server import generation_reference
from pinion_runtime.server.tasks.generation.parameters import PARAMETERS

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / generation_reference.PAGE).read_text()


def test_the_tables_are_current() -> None:
    assert generation_reference.main(["check", "--root", str(ROOT)]) == 0


def test_every_parameter_is_in_a_table() -> None:
    tables = "".join(block.partition("<!-- end -->")[0] for block in PAGE.split("<!-- generated: ")[1:])
    missing = {parameter.name for parameter in PARAMETERS if f"`{parameter.name}`" not in tables}
    assert not missing


def test_every_client_that_is_tried_is_there_in_its_version_with_all_its_ways_and_no_other() -> None:
    rows = PAGE.partition("## Clients\n")[2].replace("`", "").splitlines()
    listed = [row.strip("| ").split(" | ") for row in rows if row.startswith("| ")][1:]
    assert [name for name, _, _ in listed] == [client.name for client in TEXT_CLIENTS]
    for client, (_, version, came) in zip(TEXT_CLIENTS, listed, strict=True):
        assert version == client.versions or (version.startswith("JDK ") and not client.versions), client.name
        told = [way for result in came.split("; ") for way in result.partition(": ")[0].split(", ")]
        assert sorted(told) == sorted(way.name for way in client.ways), client.name
