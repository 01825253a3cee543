"""OCI archives of one layer, as `ctr images import` takes them: no builder and no registry needed."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO


@dataclass(frozen=True)
class ImageConfig:
    """What a container of an image starts with."""

    entrypoint: Sequence[str] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"


def pack_files(files: Mapping[str, Path], layer: Path) -> None:
    """Write a layer with the given files (path in the image: file here), the same bytes for the same files."""
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
        parents = {parent.as_posix() for name in files for parent in Path(name.lstrip("/")).parents} - {"."}
        for parent in sorted(parents):
            folder = tarfile.TarInfo(parent)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name, source in sorted(files.items()):
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode = source.stat().st_size, 0o755 if os.access(source, os.X_OK) else 0o644
            with source.open("rb") as content:
                tar.addfile(entry, content)


def write_archive(archive: Path, name: str, layer: Path, config: ImageConfig) -> None:
    """Write an OCI archive of one uncompressed layer; `name` is the whole reference, with its tag."""
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **config.environment}
    image = _blob(
        "config",
        {
            "architecture": config.architecture,
            "os": "linux",
            "config": {
                "Entrypoint": list(config.entrypoint),
                "User": config.user,
                "Env": [f"{key}={value}" for key, value in environment.items()],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        },
    )
    layer_kind = "application/vnd.oci.image.layer.v1.tar"
    manifest = _blob(
        "manifest",
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": image.descriptor,
            "layers": [{"mediaType": layer_kind, "digest": f"sha256:{digest}", "size": layer.stat().st_size}],
        },
    )
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    index = {"schemaVersion": 2, "manifests": [{**manifest.descriptor, "annotations": names}]}
    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", json.dumps(index).encode())
        for blob in (image, manifest):
            _add(tar, f"blobs/sha256/{blob.digest}", blob.content)
        with layer.open("rb") as content:
            _add(tar, f"blobs/sha256/{digest}", content, layer.stat().st_size)
    partial.rename(archive)


@dataclass(frozen=True)
class _Blob:
    kind: str
    content: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def descriptor(self) -> dict[str, Any]:
        media = f"application/vnd.oci.image.{self.kind}.v1+json"
        return {"mediaType": media, "digest": f"sha256:{self.digest}", "size": len(self.content)}


def _blob(kind: str, content: Mapping[str, object]) -> _Blob:
    return _Blob(kind, json.dumps(content, sort_keys=True).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes | BinaryIO, size: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    else:
        entry.size = size
        tar.addfile(entry, content)
