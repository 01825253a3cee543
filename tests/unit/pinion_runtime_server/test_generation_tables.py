"""The tables of the parameters for people: every parameter is in one of them, with what it does."""

import pytest

from pinion_runtime.server.tasks.fields import Effect
from pinion_runtime.server.tasks.generation.parameters import PARAMETERS
from pinion_runtime.server.tasks.generation.tables import (
    agreeing_parameters,
    honoured_parameters,
    ignored_parameters,
    refused_parameters,
)

TABLES = {
    Effect.HONOURED: honoured_parameters(),
    Effect.ALIAS: honoured_parameters(),
    Effect.AGREES: agreeing_parameters(),
    Effect.REFUSED: refused_parameters(),
    Effect.IGNORED: ignored_parameters(),
}


def test_every_parameter_is_in_the_table_of_its_effect() -> None:
    for parameter in PARAMETERS:
        assert f"`{parameter.name}`" in TABLES[parameter.effect], parameter.name


@pytest.mark.parametrize("table", [honoured_parameters(), agreeing_parameters(), refused_parameters()])
def test_each_row_has_all_its_cells(table: str) -> None:
    head, rule, *rows = table.splitlines()
    assert rows
    assert set(rule) == set("| -")
    assert {row.count(" | ") for row in rows} == {head.count(" | ")}
    assert all(cell for row in rows for cell in row.strip("| ").split(" | "))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (honoured_parameters(), "| `ignore_eos` | both | `true` or `false` | `true`: the model's own end tokens do not end"),
        (honoured_parameters(), "| `max_tokens`, `max_completion_tokens` | chat | an integer from 1 to 2,147,483,647 |"),
        (honoured_parameters(), "| `echo` | completions | `true` or `false` |"),
        (agreeing_parameters(), '| `response_format` | both | `{"type":"text"}` | answers are not held'),
        (agreeing_parameters(), '| `suffix` | both | `""` |'),
        (agreeing_parameters(), "| `tool_choice` | both | `none`, `auto` |"),
        (refused_parameters(), "| `allowed_token_ids` | both | send `logit_bias` with 100 |"),
        (refused_parameters(), "| `best_of` | chat | send `n` |"),
    ],
)
def test_a_row(table: str, row: str) -> None:
    assert any(line.startswith(row) for line in table.splitlines()), table
