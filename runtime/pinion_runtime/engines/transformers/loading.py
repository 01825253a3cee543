"""From a model's files to a model of transformers in memory: what encoders and decoders do alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from transformers import AutoConfig

from ...errors import EngineLoadError, EngineOutOfMemory
from ...model.files import ModelFiles
from ..memory import measure_memory
from ..memory_limit import available_memory
from .load_messages import in_our_words
from .opened_files import OpenedFiles
from .weights import Checkpoint

# The relative difference of two results that comes of rounding in another order, with some room.
ROUNDING = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def configure_torch(threads: int) -> None:
    """Set what holds for the whole process; once, before anything is computed."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    transformers.utils.logging.disable_progress_bar()


def free_for_weights() -> int:
    """Return how many bytes a copy of weights may take: pages of files are given back where they must be."""
    memory = measure_memory()
    return available_memory(memory.resident_bytes - memory.shared_bytes)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch or Python means that memory did not suffice; on a CPU torch has no type for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(hint in str(error) for hint in ("not enough memory", "can't allocate memory"))
    )


@contextmanager
def load_errors(files: ModelFiles) -> Iterator[None]:
    """Turn what transformers and torch raise while they load into EngineLoadError."""
    try:
        yield
    except EngineLoadError:
        raise
    except Exception as error:
        kind = EngineOutOfMemory if is_out_of_memory(error) else EngineLoadError
        text = in_our_words(error, files)
        raise kind(f"{files.architecture} (model_type {files.model_type}) can't be loaded: {text}") from error


def read_config(files: ModelFiles) -> Any:
    """Return the configuration as transformers reads it."""
    return AutoConfig.from_pretrained(files.transformer, local_files_only=True, trust_remote_code=False)


def found_class(found: Any, files: ModelFiles, lacks: str) -> Any:
    """Return what a mapping of transformers has for an architecture, the first of several; raise EngineLoadError for none."""
    if isinstance(found, tuple | list):
        found = found[0]
    if found is None:
        raise EngineLoadError(
            f"architecture {files.architecture} (model_type {files.model_type}) {lacks} in "
            f"transformers {transformers.__version__}"
        )
    return found


def load_model(
    files: ModelFiles, model_class: Any, config: Any, wanted: str, opened: OpenedFiles, unused: tuple[str, ...] = ()
) -> tuple[Any, torch.dtype]:
    """Build the model and fill it from safetensors; refuse one whose weights are not all there.

    Weights whose names begin with one of `unused` may be missing: nothing reads what is made of them.
    """
    checkpoint = Checkpoint(files.transformer, opened.record)
    declared = config.dtype if isinstance(config.dtype, torch.dtype) else checkpoint.dtype()
    asked = wanted if wanted != "auto" else files.dtype
    dtype = getattr(torch, asked) if asked else declared
    model, info = model_class.from_pretrained(
        None,
        config=config,
        state_dict=checkpoint.slices,
        dtype=dtype,
        output_loading_info=True,
        local_files_only=True,
        ignore_mismatched_sizes=True,  # refused below: transformers names no tensor in its own error
    )
    for name, found, wanted_shape in sorted(info["mismatched_keys"]):
        raise EngineLoadError(f"{files.architecture}: {name} has shape {tuple(found)}, config.json wants {tuple(wanted_shape)}")
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(unused))
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise EngineLoadError(f"{files.architecture}: the checkpoint lacks weights of the model: {shown}")
    _refuse_quantised(files, checkpoint, model)
    if model.main_input_name != "input_ids":
        raise EngineLoadError(f"{files.architecture} takes {model.main_input_name}, not text")
    return model, dtype


def _refuse_quantised(files: ModelFiles, checkpoint: Checkpoint, model: Any) -> None:
    """Refuse parameters that are stored in 8 bits or as integers: as plain numbers they are not the weights.

    Buffers may be of any type. Checkpoints name their tensors with or without the prefix of the base model.
    """
    names = {f".{name}" for name, _ in model.named_parameters()}
    for name, found in sorted(checkpoint.others().items()):
        if any(f".{name}".endswith(own) or own.endswith(f".{name}") for own in names):
            raise EngineLoadError(
                f"{files.architecture}: {name} holds {found} numbers: quantised weights, and no quantization_config says how"
            )
