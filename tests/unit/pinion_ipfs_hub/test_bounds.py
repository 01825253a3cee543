"""What a list of files says of a model before its first byte: whether it can have an address and a manifest."""

import pytest

from pinion_ipfs.errors import UnsupportedDag
from pinion_ipfs.hub.bounds import check_bounds
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import HubFile, Listing

REPO, COMMIT, OID = RepoId.parse("org/name"), Commit.parse("c" * 40), "0" * 40


def check(paths: list[str], size: int = 1) -> None:
    files = tuple(HubFile(path, size, OID) for path in sorted(paths))
    check_bounds(REPO, COMMIT, Listing(files, size * len(files), ""))


def spread(count: int, name: str = "file-{}.json") -> list[str]:
    """Return as many paths, a thousand to a folder."""
    return [f"part-{number // 1000}/{name.format(number)}" for number in range(count)]


def test_a_model_of_many_files_is_fine() -> None:
    check(spread(4400))
    check([f"many/{'x' * 20}{number:05}" for number in range(4400)])  # a sharded folder


DEEP = "/".join(["d" * 250] * 14)
REFUSED: dict[str, tuple[list[str], str]] = {
    "files and folders": (["a/f", *map(str, range(99_999))], "100001 files and folders, over 100000"),
    "folders below each other": (["/".join(["d"] * 66)], "lies below more than 64 folders"),
    "far too many folders": (["/".join(["d"] * 2000)], "lies below more than 64 folders"),
    "the manifest": ([f"{number % 5}/{DEEP}/{number}" for number in range(9_300)], "the manifest of 9300 files has"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_out_of_bounds_is_refused_by_name(name: str) -> None:
    paths, says = REFUSED[name]
    with pytest.raises(UnsupportedDag, match=f"org/name: .*{says}"):
        check(paths)
