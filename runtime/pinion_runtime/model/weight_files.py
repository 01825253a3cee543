"""The files of a model folder that the engine will read, looked at before anything is loaded. Imports no torch."""

from pathlib import Path
from typing import Any

from pinion_ipfs.hub import adapters

from ..errors import EngineLoadError
from .json_files import decode_json
from .lfs_pointers import refuse_pointers

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_OTHER_WEIGHTS = (".bin", ".pt", ".h5", ".msgpack", ".gguf", ".onnx")
_READ = (".json", ".txt", ".model", ".spm", ".jinja")  # configurations and tokenizers
_NAMES_SHOWN = 10


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder; raise EngineLoadError that names every file that is not what it should be.

    An adapter is refused wherever it lies: without it the vectors would be those of its base.
    """
    if found := sorted(folder.rglob(adapters.CONFIG)):
        raise EngineLoadError(f"{found[0].relative_to(folder)}: {adapters.NOT_APPLIED}")
    paths = _named(folder)
    readable = (path for path in sorted(folder.iterdir()) if path.suffix in _READ and path.is_file())
    refuse_pointers([*paths, *readable], folder)
    return paths


def _named(folder: Path) -> list[Path]:
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if not (folder / INDEX).is_file():
        others = sorted(path.name for path in folder.iterdir() if path.suffix in _OTHER_WEIGHTS)
        found = f" (found {', '.join(others)}, which is not loaded: only safetensors are)" if others else ""
        raise EngineLoadError(f"the model has neither {SINGLE} nor {INDEX}{found}")
    index = decode_json(folder, INDEX, dict[str, Any])
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names:
        raise EngineLoadError(f"{INDEX} has no weight_map")
    for name in names.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise EngineLoadError(f"{INDEX} names a file outside the model's folder: {name!r}")
    files = sorted(set(names.values()))
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise EngineLoadError(_missing(folder, files, missing))
    return [folder / name for name in files]


def _missing(folder: Path, files: list[str], missing: list[str]) -> str:
    verb = "which is" if len(missing) == 1 else "which are"
    message = f"{INDEX} names {_shorten(missing)}, {verb} missing ({len(missing)} of {len(files)} files)"
    strangers = sorted({path.name for path in folder.glob("*.safetensors")} - set(files))
    if strangers:
        message += f"; {_shorten(strangers)}, which it does not name, lie beside it: the index may be of another sharding"
    return message


def _shorten(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
