"""Folders of small files."""

from pathlib import Path


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files by their paths below a folder, and return the folder."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder
