"""Trees note what they want: the newest two of each, as long as the tree is there."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devcluster.paths import REPOSITORY
from devcluster.trees import Trees


def tree(folder: Path, name: str) -> Trees:
    (folder / name / "devcluster").mkdir(parents=True, exist_ok=True)
    return Trees(folder / "trees", folder / name)


def test_the_newest_two_of_each_name_are_wanted(tmp_path: Path) -> None:
    mine = tree(tmp_path, "mine")
    for tag in ("1", "2", "3", "2"):
        mine.note("images", [("operator", f"operator:{tag}"), ("base", "base:1")])
    assert mine.wanted("images").keys() == {"operator:2", "operator:3", "base:1"}
    assert mine.newest("images") == {"operator:2", "base:1"}
    assert mine.wanted("tools") == {}
    assert mine.newest("tools") == set()


def test_what_another_tree_wants_is_wanted_until_it_is_gone(tmp_path: Path) -> None:
    mine, other = tree(tmp_path, "mine"), tree(tmp_path, "other")
    other.note("tools", [("kubo", "kubo-1"), ("etcd", "etcd-1")])
    between = time.time()
    mine.note("tools", [("kubo", "kubo-2"), ("etcd", "etcd-1")])
    wanted = mine.wanted("tools")
    assert wanted.keys() == {"kubo-1", "kubo-2", "etcd-1"}
    assert wanted["kubo-1"] <= between <= wanted["etcd-1"], "of two that want it, the later one says when"
    assert mine.newest("tools") == {"kubo-2", "etcd-1"}

    (tmp_path / "other" / "devcluster").rmdir()
    assert mine.wanted("tools").keys() == {"kubo-2", "etcd-1"}
    mine.forget_lost()
    assert len(list((tmp_path / "trees").glob("*.json"))) == 1
    mine.forget_lost()


def test_notes_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    mine = tree(tmp_path, "mine")
    mine.note("images", [("operator", "operator:1")])
    (path,) = (tmp_path / "trees").glob("*.json")
    for text in ("", "{", "[]"):
        path.write_text(text)
        assert mine.wanted("images") == {}
        assert mine.newest("images") == set()
    mine.note("images", [("operator", "operator:2")])
    assert mine.wanted("images").keys() == {"operator:2"}


def test_nothing_is_lost_when_several_note_at_once(tmp_path: Path) -> None:
    mine = tree(tmp_path, "mine")
    code = "import sys, pathlib; from devcluster.trees import Trees; folder = pathlib.Path(sys.argv[1]);"
    code += "Trees(folder / 'trees', folder / 'mine').note('images', [(sys.argv[2], sys.argv[2])])"

    def note(number: int) -> None:
        subprocess.run([sys.executable, "-c", code, tmp_path, f"image{number}"], cwd=REPOSITORY, check=True, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(8)))
    assert mine.wanted("images").keys() == {f"image{number}" for number in range(8)}
    assert [path.suffix for path in (tmp_path / "trees").iterdir()] == [".json"]
