"""What goes: what nobody wants, then what was wanted longest ago; never what is needed."""

import pytest

from devcluster.retention import Thing, superfluous

SHARED = {"torch": 60}


def image(name: str, wanted: float | None, *, needed: bool = False, own: int = 10, **parts: int) -> Thing:
    return Thing(name, {f"layer of {name}": own, **parts}, wanted, needed)


@pytest.mark.parametrize(
    ("things", "limit", "gone"),
    [
        ([], 0, []),
        ([image("a", None)], 1000, ["a"]),
        ([image("a", None, needed=True)], 0, []),
        ([image("a", 1), image("b", 2)], 20, []),
        ([image("a", 1), image("b", 2)], 19, ["a"]),
        ([image("a", 1, needed=True), image("b", 2)], 19, ["b"]),
        ([image("a", 1, needed=True), image("b", 2, needed=True)], 0, []),
        # Parts that they share count once.
        ([image("a", 1, torch=60), image("b", 2, torch=60)], 80, []),
        ([image("a", 1, torch=60), image("b", 2, torch=60)], 79, ["a"]),
        # One that is too large makes no older small one go.
        ([image("small", 1), image("large", 2, own=60), image("new", 3)], 30, ["large"]),
        # What nobody wants makes no room for itself at the cost of others.
        ([image("a", 1), image("b", None), image("c", 3)], 20, ["b"]),
    ],
)
def test_what_goes(things: list[Thing], limit: int, gone: list[str]) -> None:
    assert superfluous(things, limit) == gone
    assert superfluous(things[::-1], limit) == gone, "the order in which they are found says nothing"


def test_a_size_is_that_of_all_parts() -> None:
    assert image("a", 1, torch=60).size == 70
