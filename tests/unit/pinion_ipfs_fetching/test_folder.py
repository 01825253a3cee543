"""A folder of one's own: which of its files are the model, where they stay, and that it has the CID that it has anywhere."""

import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pinion_ipfs.content.errors import ContentError
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.errors import CidMismatch, DigestMismatch, SourceNotFound, StoreInaccessible, UnreadableSource, UnsupportedDag
from pinion_ipfs.fetching.folder import FolderChoice, FolderFetcher, list_folder

FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(3 << 20),
    "tokenizer.json": b"[]",
    "1_Pooling/config.json": b"{}",
    ".gitattributes": b"*",
}
NO_PART = {  # what the hub's own uploader leaves out
    ".git/config": b"c",
    ".git/objects/ab/cd": b"o",
    ".cache/huggingface/download/config.json.metadata": b"m",
    "1_Pooling/.git/HEAD": b"h",
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "my-model", FILES)


@pytest.fixture
async def fetcher(folder: Path, tmp_path: Path) -> AsyncIterator[FolderFetcher]:
    one = FolderFetcher(FolderChoice(folder), records=tmp_path / "records")
    yield one
    await one.close()


async def test_the_cid_is_that_of_the_folder_itself(fetcher: FolderFetcher, folder: Path) -> None:
    listing = await fetcher.resolve()
    assert (len(listing.files), listing.total_bytes, listing.source_digest) == (5, sum(map(len, FILES.values())), "")
    snapshot = await fetcher.verify(await fetcher.fetch())
    assert snapshot.cid == layout_directory(folder).root
    assert (await fetcher.verify(snapshot)).cid == snapshot.cid


async def test_what_is_no_part_of_a_model_is_no_part_of_its_cid(
    fetcher: FolderFetcher, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = layout_directory(folder).root
    write(folder, NO_PART)
    monkeypatch.chdir(folder / ".git")  # a socket's address holds 107 bytes, and a test's folder may have more
    with socket.socket(socket.AF_UNIX) as listening:  # git leaves one when it watches files
        listening.bind("fsmonitor--daemon.ipc")
    assert (await fetcher.fetch()).cid == alone


def test_what_its_configurations_say_is_told_before_a_byte_is_hashed(folder: Path, tmp_path: Path) -> None:
    write(folder, {"config.json": b'{"quantization_config": {"quant_method": "awq"}}'})
    assert list_folder(FolderChoice(folder))[0].quantization == "awq"
    adapter = {"adapter_config.json": b'{"base_model_name_or_path": "org/base"}', "adapter_model.safetensors": b"a"}
    listing, _ = list_folder(FolderChoice(write(tmp_path / "adapter", adapter)))
    assert (listing.base_model, listing.unconfirmed, listing.quantization) == ("org/base", "", "")


def test_what_its_index_of_weights_names_is_told_before_a_byte_is_hashed(tmp_path: Path) -> None:
    index = {"model.safetensors.index.json": b'{"weight_map": {"a": "part-a.safetensors", "b": "part-b.safetensors"}}'}
    listing, _ = list_folder(FolderChoice(write(tmp_path, index | {"part-a.safetensors": b"a"})))
    assert listing.indexed == {"part-a.safetensors", "part-b.safetensors"}


async def test_patterns_choose_as_they_do_in_a_repository(folder: Path, tmp_path: Path) -> None:
    write(folder, {"pytorch_model.bin": b"b", "onnx/model.onnx": b"o", "extra.json": b"{}"})
    chosen = write(tmp_path / "chosen", FILES)
    fetcher = FolderFetcher(FolderChoice(folder, ignore_patterns=("extra.json",)))
    snapshot = await fetcher.fetch()
    assert snapshot.cid == layout_directory(chosen).root
    shown = {path.relative_to(snapshot.path).as_posix() for path in snapshot.path.rglob("*") if path.is_file()}
    assert shown == set(FILES), "the engine sees what was chosen, and nothing else"
    await fetcher.close()
    assert not snapshot.path.exists()


async def test_the_manifest_has_no_commit(fetcher: FolderFetcher, tmp_path: Path) -> None:
    snapshot = await fetcher.fetch()
    manifest = json.loads((tmp_path / "records" / f"{snapshot.manifest_cid}.json").read_bytes())
    assert (manifest["repo"], manifest["commit"], manifest["root"]) == (None, None, str(snapshot.cid))
    assert [file["path"] for file in manifest["files"]] == sorted(FILES)


@pytest.fixture
def cached(folder: Path, tmp_path: Path) -> Path:
    """The snapshot folder of a Hugging Face cache: links, and nothing else."""
    cache = tmp_path / "models--org--name"
    for number, name in enumerate(FILES):
        blob = cache / "blobs" / str(number)
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, blob)
        link = cache / "snapshots" / ("a1" * 20) / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return cache / "snapshots" / ("a1" * 20)


async def test_links_are_followed(folder: Path, tmp_path: Path, cached: Path) -> None:
    (tmp_path / "link").symlink_to(cached)
    fetcher = FolderFetcher(FolderChoice(tmp_path / "link"))
    snapshot = await fetcher.fetch()
    assert snapshot.cid == layout_directory(folder).root
    assert (snapshot.path / "1_Pooling/config.json").read_bytes() == b"{}"
    await fetcher.close()


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


async def test_a_folder_that_cannot_be_written_stays_as_it_is(folder: Path) -> None:
    for path in (folder, folder / "1_Pooling"):
        path.chmod(0o555)
    before = stamps(folder)
    fetcher = FolderFetcher(FolderChoice(folder), records=Path("/proc/no-such"))
    assert (await fetcher.fetch()).cid == layout_directory(folder).root
    assert stamps(folder) == before
    await fetcher.close()


async def test_other_bytes_than_expected_are_not_served(fetcher: FolderFetcher, folder: Path) -> None:
    expected = layout_directory(folder).root
    assert (await fetcher.fetch(expected)).cid == expected
    (folder / "config.json").write_text("[]")
    with pytest.raises(CidMismatch, match=f"my-model.*{expected}"):
        await fetcher.fetch(expected)


@pytest.mark.parametrize("how", ["changed", "shorter", "gone"])
async def test_a_file_that_changes_while_it_is_loaded_is_named(fetcher: FolderFetcher, folder: Path, how: str) -> None:
    snapshot = await fetcher.verify(await fetcher.fetch())
    weights = folder / "model.safetensors"
    if how == "gone":
        weights.unlink()
    else:
        weights.write_bytes(b"\1" * (3 << 20) if how == "changed" else b"")
    with pytest.raises((DigestMismatch, StoreInaccessible), match=r"my-model.*model\.safetensors"):
        await fetcher.verify(snapshot)


def dangling(folder: Path) -> None:
    (folder / "vocab.txt").symlink_to("nowhere")


def loop(folder: Path) -> None:
    (folder / "again").symlink_to(folder)


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def backslash(folder: Path) -> None:
    (folder / "a\\b").touch()


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


REFUSED: dict[str, tuple[Callable[[Path], None], type[ContentError], str]] = {
    "a link to nothing": (dangling, UnreadableSource, "vocab.txt: a link to nothing"),
    "a link to the folder itself": (loop, UnreadableSource, "again: a link to a directory that holds it"),
    "no file": (fifo, UnreadableSource, "pipe: neither file nor directory"),
    "a name that no repository has": (backslash, UnsupportedDag, "holds a backslash"),
    "nothing in it": (emptied, SourceNotFound, "no file of the folder .*/my-model is selected: it is empty"),
    "not there any more": (removed, StoreInaccessible, "my-model: No such file or directory"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_a_folder_that_is_none_is_refused(
    folder: Path, spoil: Callable[[Path], None], kind: type[ContentError], message: str
) -> None:
    spoil(folder)
    with pytest.raises(kind, match=message):
        list_folder(FolderChoice(folder))


async def test_progress_is_told(folder: Path) -> None:
    told: list[Any] = []
    fetcher = FolderFetcher(FolderChoice(folder), on_progress=told.append)
    await fetcher.fetch()
    assert (told[-1].completed_bytes, told[-1].total_bytes) == (sum(map(len, FILES.values())),) * 2
    await fetcher.close()
