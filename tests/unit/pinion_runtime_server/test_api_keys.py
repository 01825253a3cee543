"""The folder of API keys: what a file may hold, and how changes of it are seen, a mounted Secret's above all."""

import asyncio
import hashlib
import logging
import os
import sys
from pathlib import Path
from types import FrameType

import pytest

from pinion_runtime.pod.api_keys import MAX_CLIENTS, MAX_KEY_BYTES, KeyFolder, KeyRing, digest_of, follow_keys
from tests.support.serve import eventually


def ring_of(folder: Path) -> KeyRing:
    ring = KeyRing()
    ring.replace(KeyFolder(folder).read_if_changed() or {})
    return ring


def mount(folder: Path, version: str, keys: dict[str, str]) -> None:
    """Change a Secret as kubelet does: a new folder, and one link that is swapped."""
    folder.mkdir(exist_ok=True)
    (folder / version).mkdir()
    for name, key in keys.items():
        (folder / version / name).write_text(key)
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in keys:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.exists():
            entry.unlink()


def test_nobody_is_asked_until_keys_are_required() -> None:
    ring = KeyRing()
    assert not ring.required
    ring.replace({})
    assert ring.required
    assert ring.client_of(b"anything") is None


def test_plain_and_hashed_keys(tmp_path: Path) -> None:
    (tmp_path / "ann").write_text("sk-ann\n")
    (tmp_path / "bob").write_text(f"sha256:{hashlib.sha256(b'sk-bob').hexdigest()}\n")
    (tmp_path / "zoë").write_text("schlüssel")
    ring = ring_of(tmp_path)
    assert ring.clients == ("ann", "bob", "zoë")
    assert [ring.client_of(key) for key in (b"sk-ann", b"sk-bob", "schlüssel".encode())] == ["ann", "bob", "zoë"]
    for wrong in (
        b"",
        b"sk-an",
        b"sk-ann\n",
        b"sk-ann ",
        b"SK-ANN",
        b"sha256:" + hashlib.sha256(b"sk-bob").hexdigest().encode(),
    ):
        assert ring.client_of(wrong) is None
    assert ring.client_of(b"x" * (MAX_KEY_BYTES + 1)) is None


@pytest.mark.parametrize("content", [b"", b" \n", b"sha256:", b"sha256:12", b"sha256:" + b"g" * 64, b"x" * (MAX_KEY_BYTES + 1)])
def test_what_is_no_key(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"empty|larger than|64 hexadecimal digits"):
        digest_of(content)


def test_a_bad_file_does_not_take_the_others_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "good").write_text("sk-good")
    (tmp_path / "empty").write_text("")
    (tmp_path / "bad").write_text("sha256:sk-very-secret")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / ".hidden").write_text("sk-hidden")
    with caplog.at_level(logging.INFO):
        ring = ring_of(tmp_path)
    assert ring.clients == ("good",)
    assert "bad" in caplog.text
    assert "empty" in caplog.text
    assert not any(secret in caplog.text for secret in ("sk-good", "sk-very-secret"))


def test_so_many_clients_and_no_more(tmp_path: Path) -> None:
    for number in range(MAX_CLIENTS + 5):
        (tmp_path / f"{number:05}").write_text(f"sk-{number}")
    ring = ring_of(tmp_path)
    assert len(ring.clients) == MAX_CLIENTS
    assert ring.client_of(b"sk-0") == "00000"


def test_nothing_is_read_while_nothing_changes(tmp_path: Path) -> None:
    mount(tmp_path / "keys", "..v1", {"ann": "sk-1"})
    files = KeyFolder(tmp_path / "keys")
    assert set(files.read_if_changed() or {}) == {"ann"}
    assert files.read_if_changed() is None
    mount(tmp_path / "keys", "..v2", {"ann": "sk-2", "bob": "sk-b"})
    assert set(files.read_if_changed() or {}) == {"ann", "bob"}
    assert files.read_if_changed() is None
    (tmp_path / "keys" / "..v2" / "bob").write_text("sk-changed-in-place")
    assert files.read_if_changed() is not None


def test_a_folder_that_is_not_there_has_no_keys_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = KeyFolder(tmp_path / "keys")
    assert files.read_if_changed() == {}
    assert files.read_if_changed() is None
    assert len(caplog.records) == 1
    mount(tmp_path / "keys", "..v1", {"ann": "sk-1"})
    assert set(files.read_if_changed() or {}) == {"ann"}
    for entry in (tmp_path / "keys").iterdir():
        if entry.is_symlink():
            entry.unlink()
    assert files.read_if_changed() == {}
    assert str(tmp_path / "keys") in caplog.text


async def test_a_swapped_secret_is_followed_and_a_lost_folder_closes_the_door(tmp_path: Path) -> None:
    folder, ring = tmp_path / "keys", KeyRing()
    task = asyncio.create_task(follow_keys(folder, ring, 0.02))
    try:
        await eventually(lambda: ring.required)
        assert ring.client_of(b"sk-1") is None
        mount(folder, "..v1", {"ann": "sk-1"})
        await eventually(lambda: ring.client_of(b"sk-1") == "ann")
        mount(folder, "..v2", {"ann": "sk-2"})
        await eventually(lambda: ring.client_of(b"sk-2") == "ann")
        assert ring.client_of(b"sk-1") is None
        folder.rename(tmp_path / "gone")
        await eventually(lambda: ring.client_of(b"sk-2") is None)
        assert ring.required
        (tmp_path / "gone").rename(folder)
        await eventually(lambda: ring.client_of(b"sk-2") == "ann")
    finally:
        task.cancel()


@pytest.mark.parametrize("key", [b"sk-0", b"sk-4", b"sk-x", b"sk-wrong and longer"])
def test_a_key_is_compared_with_every_client_in_constant_time(tmp_path: Path, key: bytes) -> None:
    for number in range(5):
        (tmp_path / f"client-{number}").write_text(f"sk-{number}")
    ring, called = ring_of(tmp_path), list[str]()

    def note(frame: FrameType, event: str, function: object) -> None:
        if event == "c_call":
            called.append(getattr(function, "__name__", ""))

    sys.setprofile(note)
    try:
        ring.client_of(key)
    finally:
        sys.setprofile(None)
    assert called.count("compare_digest") == 5, "also after the right one"
