"""Tags by content, archives without a builder."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from devcluster.images.keeping import layer_sizes, note_image, outdated_archives, outdated_images, unwanted_images
from devcluster.images.oci import ImageConfig, pack_files, write_archive
from devcluster.images.spec import ImageSpec
from devcluster.images.tags import content_tag, copied_paths
from devcluster.limits import GIB
from devcluster.paths import REPOSITORY
from devcluster.trees import Trees


def test_copied_paths_are_those_of_the_own_context() -> None:
    text = "FROM x\nCOPY a b \\\n  /dest/\nCOPY --chown=1:1 c /c\nCOPY --from=models . /models\nADD d /\nRUN cp COPY e\n"
    assert copied_paths(text) == ["a", "b", "c", "d"]


def test_a_tag_follows_content_names_modes_and_facts(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1")
    tag = content_tag({"code": tmp_path / "code"}, "x")
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("compiled")
    assert content_tag({"code": tmp_path / "code"}, "x") == tag
    assert content_tag({"code": tmp_path / "code"}, "y") != tag
    (tmp_path / "code" / "a.py").chmod(0o755)
    assert content_tag({"code": tmp_path / "code"}, "x") != tag
    (tmp_path / "code" / "a.py").chmod(0o644)
    (tmp_path / "code" / "a.py").rename(tmp_path / "code" / "b.py")
    assert content_tag({"code": tmp_path / "code"}, "x") != tag


def test_a_reference_changes_with_what_the_dockerfile_copies_and_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY used /\n")
    (tmp_path / "used").write_text("1")
    spec = ImageSpec("thing", tmp_path / "Dockerfile", tmp_path, {"BASE_IMAGE": "base:1"})
    reference = spec.reference
    (tmp_path / "unused").write_text("1")
    assert spec.reference == reference
    (tmp_path / "used").write_text("2")
    assert spec.reference != reference


def test_an_archive_holds_what_its_manifest_says(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    layer, archive = tmp_path / "layer.tar", tmp_path / "image.tar"
    pack_files({"/usr/bin/program": program}, layer)
    write_archive(archive, "pinion.local/thing:1", layer, ImageConfig(entrypoint=["/usr/bin/program"], user="65532"))
    with tarfile.open(archive) as tar:
        content = {entry.name: file.read() for entry in tar if (file := tar.extractfile(entry))}
    index = json.loads(content["index.json"])
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "pinion.local/thing:1"
    manifest = json.loads(content[_blob(index["manifests"][0])])
    config = json.loads(content[_blob(manifest["config"])])
    assert config["config"]["User"] == "65532"
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    for descriptor in (index["manifests"][0], manifest["config"], manifest["layers"][0]):
        blob = content[_blob(descriptor)]
        assert len(blob) == descriptor["size"]
        assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == descriptor["digest"]
    with tarfile.open(layer) as tar:
        assert [(entry.name, oct(entry.mode)) for entry in tar] == [
            ("usr", "0o755"),
            ("usr/bin", "0o755"),
            ("usr/bin/program", "0o755"),
        ]


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_text("x")
    digests = set()
    for number in range(2):
        source.touch()
        pack_files({"/file": source}, tmp_path / "layer.tar")
        archive = tmp_path / f"{number}.tar"
        write_archive(archive, "pinion.local/thing:1", tmp_path / "layer.tar", ImageConfig())
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1


def image_layers(*, torch: str = "1", gigabytes: float = 5.0) -> dict[str, int]:
    return {"base": GIB // 4, f"torch {torch}": int(gigabytes * GIB)}


def test_images_that_no_tree_wants_go_and_those_that_pods_have_stay(tmp_path: Path) -> None:
    trees = Trees(tmp_path / "trees")
    for tag in ("operator:1", "operator:2", "operator:3", "operator:2", "base:1"):
        note_image(trees, f"pinion.local/{tag}")
    there = ("operator:1", "operator:2", "operator:3", "operator:4", "operator:5", "base:1")
    layers = {f"pinion.local/{tag}": image_layers() for tag in there} | {"other/operator:1": image_layers()}
    assert outdated_images(trees, layers, ["pinion.local/operator:5"]) == ["pinion.local/operator:1", "pinion.local/operator:4"]
    assert unwanted_images(trees, list(layers)) == [f"pinion.local/operator:{number}" for number in (1, 4, 5)]


def test_of_more_sets_of_dependencies_than_there_is_room_for_the_oldest_go(tmp_path: Path) -> None:
    """Each takes twice its size, packed and unpacked; images with the same ones share them."""
    layers = {}
    for number in range(4):
        (tmp_path / f"tree{number}" / "devcluster").mkdir(parents=True)
        reference = f"pinion.local/runtime:{number}"
        note_image(Trees(tmp_path / "trees", tmp_path / f"tree{number}"), reference)
        layers[reference] = image_layers(torch=str(number))
    newest = Trees(tmp_path / "trees", tmp_path / "tree3")
    assert outdated_images(newest, layers, []) == ["pinion.local/runtime:1", "pinion.local/runtime:0"]
    assert outdated_images(newest, layers, ["pinion.local/runtime:0"]) == ["pinion.local/runtime:2", "pinion.local/runtime:1"]
    shared = dict.fromkeys(layers, image_layers())
    assert outdated_images(newest, shared, []) == []
    oldest = Trees(tmp_path / "trees", tmp_path / "tree0")
    assert "pinion.local/runtime:0" not in outdated_images(oldest, layers, []), "what this tree has now stays in any case"


def test_archives_that_no_tree_wants_go(tmp_path: Path) -> None:
    trees = Trees(tmp_path / "trees")
    for tag in ("base:1", "pause:2"):
        note_image(trees, f"pinion.local/{tag}")
    for name in ("base-0.tar", "base-1.tar", "pause-2.tar", "notes.txt"):
        (tmp_path / name).touch()
    assert outdated_archives(trees, tmp_path) == [tmp_path / "base-0.tar"]


def test_sizes_of_layers_are_read_from_the_manifest() -> None:
    manifest = {
        "config": {"digest": "sha256:c", "size": 1},
        "layers": [{"digest": "sha256:a", "size": 2}, {"digest": "b", "size": 3}],
    }
    assert layer_sizes(json.dumps(manifest)) == {"sha256:a": 2, "b": 3}
    assert layer_sizes("{}") == {}


def stages(name: str) -> dict[str, str]:
    """Return the stages of one of our Dockerfiles by name, the last one as `final`."""
    text = (REPOSITORY / f"Dockerfile.{name}").read_text().replace("\\\n", " ")
    found = re.findall(r"^FROM \S+(?: AS (\S+))?\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
    return {stage or "final": body for stage, body in found}


@pytest.mark.parametrize("name", ["operator", "runtime"])
def test_the_layer_of_dependencies_changes_with_them_and_with_nothing_else(name: str, tmp_path: Path) -> None:
    """It has gigabytes, and lies on the disk three times: a setting of a tool in pyproject.toml must not make it anew."""
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    (command,) = re.findall(r"^RUN (\[.*\])$", stages(name)["requirements"], re.MULTILINE)
    argv = [sys.executable, *(word.replace("'/", f"'{tmp_path}/") for word in json.loads(command)[1:])]

    def requirements(content: str) -> list[str]:
        (tmp_path / "pyproject.toml").write_text(content)
        subprocess.run(argv, check=True, timeout=60)
        return (tmp_path / "requirements.txt").read_text().splitlines()

    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    assert requirements(pyproject) == [*project["dependencies"], *extras[name], *extras["container"]]
    assert requirements(pyproject.replace("[tool.ruff]", "[tool.new]\nx = 1\n[tool.ruff]")) == requirements(pyproject)

    before, _, after = stages(name)["final"].partition("uv pip install")
    assert re.findall(r"^COPY .*$", before, re.MULTILINE) == [
        "COPY --from=requirements /requirements.txt /build/",
        "COPY constraints.txt /build/",
    ]
    assert "-r /build/requirements.txt -c /build/constraints.txt" in after
    assert "COPY pyproject.toml " in after, "our own wheel needs all of it"


def _blob(descriptor: dict[str, str]) -> str:
    return f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"
