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

from devcluster.images.newest import NewestImages
from devcluster.images.oci import ImageConfig, pack_files, write_archive
from devcluster.images.spec import ImageSpec
from devcluster.images.tags import content_tag, copied_paths
from devcluster.paths import REPOSITORY


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


def test_only_own_images_with_two_newer_tags_are_outdated(tmp_path: Path) -> None:
    newest = NewestImages(tmp_path / "images.json")
    for reference in ("operator:1", "operator:2", "operator:3", "operator:2", "base:1"):
        newest.add(f"pinion.local/{reference}")
    others = ["pinion.local/base:1", "pinion.local/new:1", "other/operator:1"]
    there = ["pinion.local/operator:1", "pinion.local/operator:2", "pinion.local/operator:3", *others]
    assert NewestImages(tmp_path / "images.json").outdated(there) == ["pinion.local/operator:1"]


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
