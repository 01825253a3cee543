"""The line that a progress bar draws."""

import pytest

from pinion_ipfs.commands.progress_bar import line_of
from pinion_ipfs.progress import Progress

CASES = {
    "none yet": (Progress(2_000_000, 0, 0, None, ()), "hashing [--------------------]   0% 0.0 of 2.0 MB, 0.0 MB/s"),
    "half": (
        Progress(2_000_000, 1_000_000, 500_000, 2, ()),
        f"hashing [{'#' * 10}{'-' * 10}]  50% 1.0 of 2.0 MB, 0.5 MB/s, 2 s left",
    ),
    "all": (Progress(2_000_000, 2_000_000, 10, 0, ()), f"hashing [{'#' * 20}] 100% 2.0 of 2.0 MB, 0.0 MB/s, 0 s left"),
    "of a pipe": (Progress(0, 1_500_000, 500_000, None, ()), "hashing 1.5 MB, 0.5 MB/s"),
}


@pytest.mark.parametrize(("progress", "line"), CASES.values(), ids=CASES)
def test_a_line(progress: Progress, line: str) -> None:
    assert line_of("hashing", progress, 100) == line


def test_a_line_is_never_longer_than_the_terminal_is_wide() -> None:
    assert len(line_of("hashing", Progress(10**15, 10**14, 10**9, 10**6, ()), 40)) == 40
