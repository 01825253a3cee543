"""Bad input for the functions: the same answer whichever backend serves, real Kubos among them, and never a crash or a hang."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pinion_ipfs as ipfs
from pinion_ipfs.backends.base import Backend
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from tests.support.backends import WRITABLE, Places
from tests.support.cars import make_car

pytestmark = pytest.mark.kubo
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
ROOT, CAR = make_car({"a": b"hello", "b/c": b"", "big": bytes(1_100_000)})
DOCUMENTED = (ipfs.ContentError, ValueError, TypeError, OSError)


@pytest.fixture(scope="module")
def each(places: Places) -> list[Backend]:
    return [places.makers()[name]() for name in WRITABLE]


def answer(call: Callable[[], object]) -> str:
    """Return what comes of a call: a value, or the class of a documented error."""
    try:
        return repr(call())[:200]
    except DOCUMENTED as error:
        return type(error).__name__


def same(each: list[Backend], call: Callable[[Backend], object]) -> str:
    answers = {backend.name: answer(lambda backend=backend: call(backend)) for backend in each}
    assert len(set(answers.values())) == 1, answers
    return next(iter(answers.values()))


absent = st.builds(Cid.from_digest, st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32)).map(str)
mutated = st.builds(lambda cid, place, char: cid[:place] + char + cid[place + 1 :], absent, st.integers(0, 58), st.characters())
texts = st.one_of(
    st.text(max_size=80), absent, mutated, st.sampled_from(["", "-", "--help", "../x", "bafy\0", f"{ROOT}/a", "Qm"])
)


@FEW
@given(cid=texts, name=st.sampled_from(["cat", "pin", "stat", "ls", "has", "block_get", "dag_export", "unpin"]))
def test_ids(each: list[Backend], cid: str, name: str) -> None:
    same(each, lambda backend: getattr(ipfs, name)(cid, backend=backend))


def damaged(places: list[tuple[int, int]], cut: int) -> bytes:
    data = bytearray(CAR)
    for place, byte in places:
        data[place % len(data)] = byte
    return bytes(data[: cut % (len(data) + 1)] if cut else data)


@FEW
@given(
    car=st.one_of(
        st.binary(max_size=300),
        st.builds(damaged, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3), st.integers(0, 10**7)),
    )
)
def test_cars(each: list[Backend], car: bytes) -> None:
    same(each, lambda backend: ipfs.dag_import(car, pin=False, backend=backend))


@FEW
@given(block=st.binary(max_size=200), name=st.sampled_from(["cat", "stat", "ls", "pin", "dag_export"]))
def test_blocks_that_are_no_nodes(each: list[Backend], block: bytes, name: str) -> None:
    def put_and_use(backend: Backend) -> object:
        return getattr(ipfs, name)(ipfs.block_put(block, codec="dag-pb", backend=backend), backend=backend)

    same(each, put_and_use)


@FEW
@given(
    name=st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=60).filter(lambda name: name not in (".", ".."))
)
def test_names_of_files(each: list[Backend], name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("names")
    try:
        (folder / name).write_bytes(b"content")
    except (OSError, ValueError):  # no name of a file here, such as `.`
        return
    cid = same(each, lambda backend: ipfs.add_path(folder, pin=False, backend=backend))
    if cid.startswith("'"):
        assert same(each, lambda backend: ipfs.ls(cid.strip("'"), backend=backend)) == repr([name])[:200]


def test_paths(each: list[Backend], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in ("pipe", "loop", "none", "x" * 300, "/dev/zero", "a\0b"):
        assert same(each, lambda backend, path=path: ipfs.add_path(tmp_path / path, backend=backend)) in (
            "UnreadableSource",
            "OSError",
            "FileNotFoundError",
            "ValueError",
        )
    cid = ipfs.add_bytes(b"content", backend=each)
    for backend in each:
        ipfs.add_bytes(b"content", backend=backend)
    for path in ("pipe", "none/x", "x" * 300, "a\0b", "pipe/x"):
        same(each, lambda backend, path=path: ipfs.get_to_path(cid, output_path=tmp_path / path, backend=backend))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["loop", "pipe"]
