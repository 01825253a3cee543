"""Weights from safetensors files and from nothing else, tensor by tensor, with errors that name the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ...errors import EngineLoadError
from ...model.lfs_pointers import refuse_pointers
from ...model.weight_files import SINGLE, weight_files

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Checkpoint:
    """The weights of a folder as lazy slices: `slices[name][:]` reads a tensor."""

    def __init__(self, folder: Path, on_open: Callable[[Path], None]) -> None:
        self.slices: dict[str, Any] = {}
        for path in weight_files(folder):
            self.slices.update(_slices(path, on_open))
        if not self.slices:
            raise EngineLoadError(f"{SINGLE} holds no tensors")

    def dtype(self) -> torch.dtype:
        """Return the first floating type in the files, float32 when there is none."""
        return next((_DTYPES[name] for s in self.slices.values() if (name := s.get_dtype()) in _DTYPES), torch.float32)

    def others(self) -> dict[str, str]:
        """Return the types, as safetensors calls them, of tensors that hold no floating numbers of 16 bits or more, by name."""
        return _others(self.slices)


def load_tensors(path: Path, on_open: Callable[[Path], None]) -> dict[str, torch.Tensor]:
    """Read a whole small file of floating numbers."""
    where = f"{path.parent.name}/{path.name}"
    if not path.is_file():
        raise EngineLoadError(f"{where} is missing; only safetensors are loaded")
    refuse_pointers([path], path.parent.parent)
    found = _slices(path, on_open)
    for name, stored in sorted(_others(found).items()):
        raise EngineLoadError(f"{where}: {name} holds {stored} numbers, and floating ones of 16 bits or more are read")
    return {name: tensor[:] for name, tensor in found.items()}


def _others(slices: dict[str, Any]) -> dict[str, str]:
    types = {name: tensor.get_dtype() for name, tensor in slices.items()}
    return {name: found for name, found in types.items() if found not in _DTYPES}


def _slices(path: Path, on_open: Callable[[Path], None]) -> dict[str, Any]:
    on_open(path)
    try:
        file: Any = safe_open(path, framework="pt")
        return {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - safe_open has keys() but does not iterate
    except (SafetensorError, OSError) as error:
        raise EngineLoadError(f"{path.name} is not a whole safetensors file: {error}") from error
