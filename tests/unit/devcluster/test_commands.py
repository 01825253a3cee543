"""Short commands of the system: what they say, how they fail."""

import pytest

from devcluster.commands import CommandError, attempt, run


def test_the_output_comes_back() -> None:
    assert run("echo", "here") == "here\n"


def test_a_failure_is_told_in_the_commands_own_words() -> None:
    with pytest.raises(CommandError, match=r"`ls /nowhere-at-all` failed \(\d+\): .*nowhere-at-all"):
        run("ls", "/nowhere-at-all")
    assert not attempt("ls", "/nowhere-at-all")


def test_a_program_that_is_not_installed_is_a_failure_like_any_other() -> None:
    """A new machine has none of the node's programs, and `down` must find nothing to remove there."""
    with pytest.raises(CommandError, match="`no-such-program --at all` failed: no-such-program is not installed"):
        run("no-such-program", "--at", "all")
    assert not attempt("no-such-program")
