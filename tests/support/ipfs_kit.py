"""A small package `ipfs_kit_py` that follows the documented API, and others that break or lie in one way each."""

from pathlib import Path

_WORKS = """
import pathlib
import sys

from pinion_ipfs.content.cid import RAW, Cid

print("a package may print what it likes")


class IPFSSimpleAPI:
    def __init__(self, config_path=None, **kwargs):
        self.home = pathlib.Path({home!r})
        self.home.mkdir(parents=True, exist_ok=True)

    def add(self, content, pin=True, wrap_with_directory=False, **kwargs):
        assert kwargs == {{"cid_version": 1, "raw_leaves": True, "chunker": "size-1048576"}}, kwargs
        cid = str(Cid.of_block(RAW, content))
        (self.home / cid).write_bytes(content)
        if pin:
            self.pin(cid)
        return {{"success": True, "cid": cid}}

    def get(self, cid, **kwargs):
        return (self.home / cid).read_bytes()

    def exists(self, cid):
        return (self.home / cid).exists()

    def pin(self, cid, recursive=True, **kwargs):
        (self.home / (cid + ".pin")).touch()
        return {{"success": True}}

    def unpin(self, cid, recursive=True, **kwargs):
        (self.home / (cid + ".pin")).unlink()
        return {{"success": True}}

    def list_pins(self, type="all", quiet=False, **kwargs):
        return {{"success": True, "pins": [path.name[:-4] for path in self.home.glob("*.pin")]}}
"""

# What each does instead: methods in the place of those above, or lines before all.
_LIES = {
    "a made-up id": 'def add(self, content, **kwargs):\n    return {"success": True, "cid": "QmMockHash"}',
    "one id for everything": (
        "def add(self, content, **kwargs):\n"
        '    return {"success": True, "cid": "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"}'
    ),
    "other bytes": "def get(self, cid, **kwargs):\n    return (self.home / cid).read_bytes().decode(errors='replace').encode()",
    "made-up content": (
        "def get(self, cid, **kwargs):\n    path = self.home / cid\n    return path.read_bytes() if path.exists() else b'made'"
    ),
    "failures": 'def add(self, content, **kwargs):\n    return {"success": False, "error": "no daemon"}',
    "the user's token": (
        "def add(self, content, **kwargs):\n    import os\n"
        '    return {"success": False, "error": os.environ.get("HF_TOKEN", "there is no token")}'
    ),
    "no dictionary": "def add(self, content, **kwargs):\n    return None",
    "no bytes": "def get(self, cid, **kwargs):\n    return 'text'",
    "a hang": (
        "def add(self, content, **kwargs):\n    import os, time\n"
        "    (self.home / 'pid').write_text(str(os.getpid()))\n    time.sleep(10_000)"
    ),
    "a crash": "def add(self, content, **kwargs):\n    import os\n    os.abort()",
    "an exit": "def add(self, content, **kwargs):\n    import os\n    os._exit(3)",
    "a SystemExit": "def add(self, content, **kwargs):\n    raise SystemExit('gone')",
    "pins that it does not keep": 'def pin(self, cid, recursive=True, **kwargs):\n    return {"success": True}',
}
WORKS, BROKEN_AT_IMPORT = "works", "broken at import"


def make_ipfs_kit(folder: Path, how: str = WORKS) -> Path:
    """Write the package and return the folder that it lies in."""
    package = folder / "packages" / "ipfs_kit_py"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "9.9.9"\n')
    text = _WORKS.format(home=str(folder / "kit-home"))
    if how == BROKEN_AT_IMPORT:
        text = "def broken():\nreturn 1\n"
    elif how != WORKS:
        text += "\n" + "".join(f"    {line}\n" for line in _LIES[how].splitlines())
    (package / "high_level_api.py").write_text(text)
    return package.parent
