"""Short commands of the system: what they say, how they fail."""

from pathlib import Path

import pytest

from devcluster.commands import CommandError, MissingProgramError, attempt, run


def test_the_output_comes_back() -> None:
    assert run("echo", "here") == "here\n"


def test_a_failure_is_told_in_the_commands_own_words() -> None:
    with pytest.raises(CommandError, match=r"`ls /nowhere-at-all` failed \(\d+\): .*nowhere-at-all"):
        run("ls", "/nowhere-at-all")
    assert not attempt("ls", "/nowhere-at-all")


def test_a_program_that_is_not_installed_is_a_failure_like_any_other() -> None:
    """A new machine has none of the node's programs, and `down` must find nothing to remove there."""
    with pytest.raises(MissingProgramError, match="`no-such-program --at all` failed: no-such-program is not installed"):
        run("no-such-program", "--at", "all")
    assert not attempt("no-such-program")


def test_a_program_that_hangs_is_a_failure_like_any_other() -> None:
    with pytest.raises(CommandError, match=r"`sleep 60` did not end within 0\.1 s"):
        run("sleep", "60", timeout=0.1)
    assert not attempt("sleep", "60", timeout=0.1)


def test_a_program_that_cannot_be_executed_is_a_failure_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("no program")
    with pytest.raises(CommandError, match="program: Permission denied"):
        run(tmp_path / "program")


def test_the_exit_status_of_a_failure_can_be_asked_for() -> None:
    with pytest.raises(CommandError) as caught:
        run("sh", "-c", "exit 7")
    assert caught.value.code == 7
