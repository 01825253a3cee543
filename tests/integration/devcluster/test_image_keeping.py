"""Images in a real containerd: those that no tree wants go with what they take, those that containers are made from stay.

On a machine of its own: the socket has a fixed name, and a cluster of the machine itself has it too.
"""

import json
import shutil
from pathlib import Path

import pytest

from devcluster.gotools import BUILDKIT, ensure
from devcluster.local.packages import ensure_packages
from tests.support.used_machine import used_machine

pytestmark = pytest.mark.timeout(600)

SCENE = """
import json, os, sys
from pathlib import Path
from devcluster.daemons import Daemons
from devcluster.images.buildkit import PRUNINGS, builder
from devcluster.images.keeping import archive_name, note_image
from devcluster.images.oci import ImageConfig, pack_files, write_archive
from devcluster.local import containerd
from devcluster.local.cluster import LocalCluster
from devcluster.local.layout import BUILDKIT_SOCKET, CGROUP, CONTAINERD_SOCKET, RUN, Layout
from devcluster.trees import Trees

cluster = LocalCluster()
layout = cluster.layout
for folder in (layout.state, layout.archives, RUN):
    folder.mkdir(parents=True, exist_ok=True)
containerd.start_containerd(layout, Daemons(layout.state, tied=True), "pinion.local/pause:1")

def bring(tag):
    content, layer = layout.state / "content", layout.state / "layer.tar"
    content.write_bytes(os.urandom(1_000_000))
    pack_files({"/content": content}, layer)
    archive = layout.archives / archive_name(f"pinion.local/{tag}")
    write_archive(archive, f"pinion.local/{tag}", layer, ImageConfig())
    containerd.import_archive(archive)

def seen():
    blobs = containerd.ctr("content", "list", "--quiet").split()
    archives = sorted(path.name for path in layout.archives.iterdir())
    return {"images": sorted(containerd.images()), "blobs": len(blobs), "archives": archives}

other = Path(sys.argv[1])
(other / "devcluster").mkdir(parents=True)
for number, tag in enumerate(("thing:old", "thing:before", "thing:new", "thing:theirs", "thing:used", "thing:broken")):
    bring(tag)
for tag in ("old", "before", "new", "broken"):
    note_image(Trees(), f"pinion.local/thing:{tag}")
note_image(Trees(), "pinion.local/thing:new")
note_image(Trees(tree=other), "pinion.local/thing:theirs")
containerd.ctr("containers", "create", "pinion.local/thing:used", "container", "/content")
containerd.ctr("content", "delete", containerd.images()["pinion.local/thing:broken"])
before = seen()
cluster._remove_outdated()
after = seen()
(other / "devcluster").rmdir()
cluster._remove_outdated()
lost = seen()
with builder(BUILDKIT_SOCKET, layout.buildkit, CONTAINERD_SOCKET, containerd.KUBERNETES_NAMESPACE, CGROUP) as running:
    for how in PRUNINGS:
        running.prune(*how)
print(json.dumps([before, after, lost]))
"""


def test_what_no_tree_wants_goes_with_what_it_takes(tmp_path: Path) -> None:
    ensure_packages()
    ensure([BUILDKIT])
    cache = tmp_path / "cache"
    shutil.copytree(BUILDKIT.bin, cache / "tools" / BUILDKIT.bin.parent.name / "bin")
    with used_machine(cache) as machine:
        said = machine.python(SCENE, tmp_path / "other")
    before, after, lost = json.loads(said.splitlines()[-1])

    def tags(seen: dict[str, list[str]]) -> list[str]:
        return [name.rpartition(":")[2] for name in seen["images"] if name.startswith("pinion.local/thing:")]

    assert tags(before) == ["before", "broken", "new", "old", "theirs", "used"]
    # Two newest of this tree: one of them is broken, so it is made again when it is wanted.
    assert tags(after) == ["new", "theirs", "used"]
    assert after["archives"] == ["thing-broken.tar", "thing-new.tar", "thing-theirs.tar"]
    assert tags(lost) == ["new", "used"]
    assert lost["archives"] == ["thing-broken.tar", "thing-new.tar"]
    # Each has a manifest, a configuration and a layer, which went with it at once.
    assert (after["blobs"], lost["blobs"]) == (3 * 3, 2 * 3)
