"""The mirror as real huggingface_hub sees it."""

import hashlib
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from tests.support.hub import Hub


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=False)


def test_it_says_what_the_hub_says_of_all_minilm(hub: Hub, api: HfApi) -> None:
    info = api.model_info(hub.minilm, files_metadata=True)
    assert info.sha is not None
    assert info.gated is False
    by_path = {sibling.rfilename: sibling for sibling in info.siblings or []}
    weights = by_path["model.safetensors"]
    assert weights.lfs is not None
    # The digest that the hub itself announces for these weights: they are the real ones.
    assert weights.lfs.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert by_path["config.json"].lfs is None
    assert api.model_info(hub.minilm, revision=info.sha).sha == info.sha
    assert api.list_repo_refs(hub.minilm).branches[0].target_commit == info.sha
    tree = {entry.path: entry for entry in api.list_repo_tree(hub.minilm, recursive=True)}
    assert tree.keys() == by_path.keys() | {"1_Pooling"}
    assert "1_Pooling/config.json" not in [entry.path for entry in api.list_repo_tree(hub.minilm)]
    assert [entry.path for entry in api.list_repo_tree(hub.minilm, "1_Pooling")] == ["1_Pooling/config.json"]
    infos = api.get_paths_info(hub.minilm, ["config.json", "1_Pooling", "absent"])
    assert [entry.path for entry in infos] == ["config.json", "1_Pooling"]
    api.auth_check(hub.minilm)


def test_oids_and_trees_are_those_of_git(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    files = {"b.txt": b"b", "a/z.txt": b"z", "a.txt": b"", "a/b/c.txt": b"c", "a-b": b"x"}
    hub.add_repo("git/same", files)
    work = tmp_path / "work"
    for path, data in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(data)

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", work, *arguments], capture_output=True, check=True, timeout=30)
        return done.stdout.decode().strip()

    git("init", "-q")
    git("-c", "core.autocrlf=false", "add", ".")
    root = git("write-tree")
    expected = {line.split("\t")[1]: line.split()[2] for line in git("ls-tree", "-r", "-t", root).splitlines()}
    listed = api.list_repo_tree("git/same", recursive=True)
    oids = {entry.path: entry.blob_id if isinstance(entry, RepoFile) else entry.tree_id for entry in listed}
    assert oids == expected


def test_downloads_give_a_cache_that_scans(hub: Hub, tmp_path: Path) -> None:
    folder = snapshot_download(hub.minilm, endpoint=hub.endpoint, cache_dir=tmp_path, token=False)
    data = Path(folder, "model.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    (repo,) = scan_cache_dir(tmp_path).repos
    assert repo.repo_id == hub.minilm
    assert repo.nb_files == 13


def test_errors_come_as_the_library_names_them(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("nobody/nothing")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("single-name")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(hub.minilm, revision="absent")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(hub.minilm, "absent.bin", endpoint=hub.endpoint, cache_dir=tmp_path, token=False)
    assert api.model_info(hub.gated).gated == "manual"
    with pytest.raises(GatedRepoError):
        api.auth_check(hub.gated)
    with pytest.raises(GatedRepoError):
        hf_hub_download(hub.gated, "config.json", endpoint=hub.endpoint, cache_dir=tmp_path, token="hf_wrong")
    hf_hub_download(hub.gated, "config.json", endpoint=hub.endpoint, cache_dir=tmp_path, token=hub.gated_token)


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"cde"),
        ("bytes=7-", 206, b"hij"),
        ("bytes=-2", 206, b"ij"),
        ("bytes=4-400", 206, b"efghij"),
        ("bytes=0-9", 206, b"abcdefghij"),
        ("bytes=10-", 416, b""),
        ("lines=1-2", 200, b"abcdefghij"),
    ],
)
def test_ranges(hub: Hub, asked: str, status: int, body: bytes) -> None:
    hub.add_repo("ranges/file", {"f": b"abcdefghij"})
    request = urllib.request.Request(f"{hub.endpoint}/ranges/file/resolve/main/f", headers={"Range": asked})
    if status == 416:
        with pytest.raises(urllib.error.HTTPError, match="416") as caught:
            urllib.request.urlopen(request, timeout=60)
        caught.value.close()
        return
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert (answer.status, answer.read()) == (status, body)


def test_content_decides_the_commit(hub: Hub, api: HfApi) -> None:
    folder = hub.add_repo("commits/one", {"f": b"1"})
    hub.add_repo("commits/two", {"f": b"1"})
    first = api.model_info("commits/one").sha
    assert first == api.model_info("commits/two").sha
    (folder / "f").write_bytes(b"22")
    assert api.model_info("commits/one").sha != first
    with pytest.raises(RevisionNotFoundError):
        api.model_info("commits/one", revision=first)


def test_paths_outside_the_root_are_not_served(hub: Hub) -> None:
    (hub.root.parent / "secret").write_text("secret")
    for path in (
        "/api/models/..%2F..%2Fetc/passwd",
        "/api/models/%2E%2E/x",
        f"/{hub.minilm}/resolve/main/..%2F..%2F..%2Fsecret",
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(hub.endpoint + path, timeout=60)
        caught.value.close()
        assert caught.value.code in (401, 404)
