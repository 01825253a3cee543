"""A view shows the chosen files and nothing else."""

from pathlib import Path

from pinion_ipfs.fetching.view import has_others, make_view, remove_view


def test_a_view_is_private_and_goes_without_its_files(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"weights")
    view = make_view({"model.safetensors": tmp_path / "blob", "1_Pooling/config.json": tmp_path / "blob"})
    assert sorted(str(path.relative_to(view)) for path in view.rglob("*")) == [
        "1_Pooling",
        "1_Pooling/config.json",
        "model.safetensors",
    ]
    assert (view / "1_Pooling/config.json").read_bytes() == b"weights"
    assert view.stat().st_mode & 0o777 == 0o700
    remove_view(view)
    assert not view.exists()
    assert (tmp_path / "blob").read_bytes() == b"weights"


def test_others_are_files_and_links_that_were_not_chosen(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    files = {name: tmp_path / name for name in ("config.json", "a/b/model.safetensors")}
    for path in files.values():
        path.write_bytes(b"x")
    assert not has_others(tmp_path, files)
    (tmp_path / "a/link").symlink_to(tmp_path / "config.json")
    assert has_others(tmp_path, files)
    assert not has_others(tmp_path, {**files, "a/link": tmp_path / "config.json"})
