"""Small trees that nobody chose, in layouts that nobody chose: Kubo gives them our addresses, and we read what it makes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinion_ipfs.content.car_spool import BlockSpool
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.dag_pb import Link
from pinion_ipfs.content.hamt import build_shards
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.content.verify import FilePiece, FileStart, unpack_car
from tests.support.cars import in_chunks
from tests.support.fuzzing import EXAMPLES
from tests.support.kubo import IpfsRepo

pytestmark = pytest.mark.kubo
few = settings(max_examples=EXAMPLES or 8)  # each asks a program that takes half a second

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
contents = st.builds(
    lambda piece, times, tail: piece * times + tail, st.binary(max_size=30), st.integers(0, 3000), st.binary(max_size=9)
)
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), contents, min_size=1, max_size=8).filter(
    lambda files: not {path[:place] for path in files for place, char in enumerate(path) if char == "/"} & files.keys()
)
layouts = st.tuples(
    st.sampled_from(["--cid-version=0", "--cid-version=1"]),
    st.sampled_from(["--raw-leaves=true", "--raw-leaves=false"]),
    st.sampled_from([1, 100, 4096, 262_144, 1_048_576]).map(lambda size: f"--chunker=size-{max(size, 50)}"),
    st.sampled_from([2, 3, 174, 1024]).map(lambda links: f"--max-file-links={links}"),
    st.sampled_from(["--trickle", "--trickle=false"]),
    st.sampled_from(["--inline", "--inline=false"]),
    st.sampled_from(["--max-directory-links=1", "--max-directory-links=0"]),
)


@contextmanager
def on_disk(files: dict[str, bytes]) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        root = Path(folder, "tree")
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        yield root


async def read(car: bytes, root: Cid) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with BlockSpool() as spool:
        async for event in unpack_car(in_chunks(car), root, spool=spool):
            match event:
                case FileStart(path):
                    files[path] = b""
                case FilePiece(data):
                    files[list(files)[-1]] += data
    return files


@few
@given(files=trees)
def test_our_address_is_kubos(ipfs_offline: IpfsRepo, files: dict[str, bytes]) -> None:
    with on_disk(files) as root:
        assert str(layout_directory(root).root) == ipfs_offline.add(root, "--only-hash")


@few
@given(files=trees, options=layouts)
def test_what_kubo_makes_comes_back(ipfs_offline: IpfsRepo, files: dict[str, bytes], options: tuple[str, ...]) -> None:
    with on_disk(files) as root:
        cid = ipfs_offline.add(root, *options)
    car = ipfs_offline.ipfs_bytes("dag", "export", "--progress=false", cid)
    assert asyncio.run(read(car, Cid.parse(cid))) == files


@few
@given(files=st.dictionaries(names, st.binary(max_size=20), min_size=2, max_size=60))
def test_our_shards_are_kubos(ipfs_offline: IpfsRepo, files: dict[str, bytes]) -> None:
    with on_disk(files) as root:
        tree = layout_directory(root)
        theirs = ipfs_offline.add(root, "--max-directory-links=1")  # with --only-hash Kubo leaves this option aside
    cid, _ = build_shards((Link(layout.cid, name, layout.dag_size) for name, layout in tree.files.items()), {})
    assert str(cid) == theirs
