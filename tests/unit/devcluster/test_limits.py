"""The numbers add up to what the README says, and each part of the cache has one."""

from devcluster import cache, limits
from devcluster.images.buildkit import PRUNINGS
from devcluster.paths import REPOSITORY

TRANSIENT = {"control", "peers", "trees"}  # gone with what runs, of `make bench` alone, and a few hundred bytes


def test_the_parts_are_the_whole() -> None:
    assert sum(limits.PARTS.values()) <= limits.TOTAL
    assert set(cache.PARTS) == {*limits.PARTS, *TRANSIENT}


def test_two_sets_of_images_leave_the_builder_room_for_one() -> None:
    """A set is 11 GiB as an image; of the 12 that the builder counts for one it shares the 6 of the layer."""
    assert limits.PARTS["local"] >= limits.IMAGES + limits.BUILDER // 2
    assert ("--all", "--keep-storage", str(limits.BUILDER // 1_000_000)) in PRUNINGS


def test_the_readme_says_the_number() -> None:
    assert f"up to {limits.TOTAL // limits.GIB} GiB" in (REPOSITORY / "README.md").read_text()
