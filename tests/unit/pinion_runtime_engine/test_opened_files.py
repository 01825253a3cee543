"""What an engine opened, by the names that it used."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys
from pathlib import Path
from pinion_runtime.engines.transformers.opened_files import OpenedFiles
snapshot = Path(sys.argv[1])
opened = OpenedFiles(snapshot)
for path in sys.argv[2:]:
    open(path).close()
print(json.dumps(opened.names()))
"""


def test_a_blob_of_two_names_is_called_as_it_was_opened(tmp_path: Path) -> None:
    blob, snapshot = tmp_path / "blobs/abc", tmp_path / "snapshots/one"
    other = tmp_path / "blobs/def"
    for file in (blob, other):
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}")
    for name in ("tokenizer.json", "onnx/tokenizer.json", "a/x.json"):
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(other if name.startswith("a/") else blob)

    def opened(*paths: Path) -> list[str]:
        command = [sys.executable, "-c", SCRIPT, str(snapshot), *map(str, paths)]
        names: list[str] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
        return names

    assert opened(snapshot / "tokenizer.json", snapshot / "a/../a/x.json") == ["a/x.json", "tokenizer.json"]
    assert opened(snapshot / "onnx/tokenizer.json") == ["onnx/tokenizer.json"]
    assert opened(blob, tmp_path / "blobs/../blobs/def") == ["a/x.json", "onnx/tokenizer.json"], "one of its names"
    assert opened(Path("/proc/version")) == []
