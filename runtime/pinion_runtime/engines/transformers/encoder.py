"""Encoders through transformers: the plain path that works for every architecture, padded where texts may share a pass."""

from collections.abc import Sequence
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING

from ...errors import EngineLoadError
from ...model.files import ModelFiles, read_model_files
from ...model.sentence_modules import Pooling
from ...model.tokenizer_files import check_tokenizer_files
from ..protocol import Capabilities, EngineSpec
from .company import choose_company, compute_alone
from .loading import ROUNDING, found_class, free_for_weights, load_errors, load_model, read_config
from .opened_files import OpenedFiles
from .pooling import build_steps, pool
from .tokenizer import load_tokenizer, token_types
from .weights import load_tensors
from .widening import emulates, widen_linear_layers

_UNUSED_WEIGHTS = ("pooler.",)  # of heads whose result we do not read: they may be missing in the checkpoint


class TransformersEncoder:
    """A loaded encoder; `embed` takes rows padded on the right."""

    def __init__(self, spec: EngineSpec) -> None:
        self._opened = OpenedFiles(spec.snapshot)
        files = read_model_files(spec.snapshot)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with load_errors(files):
            check_tokenizer_files(files.transformer)
            config = read_config(files)
            config.use_cache = False
            self._model, dtype = load_model(
                files, _model_class(config, files), config, spec.dtype, self._opened, unused=_UNUSED_WEIGHTS
            )
            self._model.eval().to(self._device)
            taken = signature(self._model.forward).parameters
            self._takes_mask = "attention_mask" in taken or any(p.kind is Parameter.VAR_KEYWORD for p in taken.values())
            tokenizer = load_tokenizer(files, self._opened)
            self._typed = tokenizer.typed if "token_type_ids" in taken else ()
            pooling = files.stages[0]
            assert isinstance(pooling, Pooling)
            self._modes = pooling.modes
            self._steps, dimensions = build_steps(
                files.stages,
                self._model.config.hidden_size,
                spec.snapshot,
                lambda path: load_tensors(path, self._opened.record),
                self._device,
            )
            self.pad_id = files.pad_token_id
            tolerance = ROUNDING.get(dtype, ROUNDING[torch.float32])
            not_widened = self._widen(tokenizer.texts, tolerance)
            choice = choose_company(self, tokenizer.texts, tolerance)
        self.company = choice.company
        self.tokenizer = tokenizer.json
        self.capabilities = Capabilities(
            task=spec.task,
            dimensions=dimensions,
            max_sequence_length=files.max_sequence_length,
            dtype=str(dtype).removeprefix("torch."),
            device=str(self._device),
            engine=f"transformers/{choice.company}",
            engine_reason="; ".join(found for found in (choice.reason, not_widened) if found),
            architecture=files.architecture,
            threads=torch.get_num_threads(),
            opened_files=self._opened.names(),
            special_ids=tokenizer.special_ids,
        )

    def embed(
        self, ids: NDArray[np.int64], mask: NDArray[np.int64], lengths: NDArray[np.int32], skips: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Return (rows, dimensions) of (rows, columns); raises what torch raises."""
        inputs = {"input_ids": torch.from_numpy(ids).to(self._device)}
        if self._takes_mask:
            inputs["attention_mask"] = torch.from_numpy(mask).to(self._device)
        if self._typed:
            inputs["token_type_ids"] = torch.from_numpy(token_types(ids, lengths, self._typed)).to(self._device)
        with torch.inference_mode():
            hidden = self._model(**inputs)[0]
            if hidden.shape[:2] != ids.shape:
                made = "x".join(map(str, hidden.shape))
                raise EngineLoadError(
                    f"the model makes {made} numbers of {ids.shape[0]}x{ids.shape[1]} tokens, not a vector for each"
                )
            vectors = pool(hidden, torch.from_numpy(lengths), self._modes, torch.from_numpy(skips))
            for step in self._steps:
                vectors = step(vectors)
            result: NDArray[np.float32] = vectors.cpu().numpy()
        return result

    def _widen(self, texts: Sequence[Sequence[int]], tolerance: float) -> str:
        """Compute products in float32 where this processor emulates the model's precision; return what kept it from that."""
        if not emulates(self._model):
            return ""

        def compute() -> torch.Tensor:
            return torch.from_numpy(np.stack([compute_alone(self, text) for text in texts]))

        return widen_linear_layers(self._model, compute, tolerance, free_for_weights())

    def device_bytes(self) -> int:
        """Return what is allocated on the accelerator, 0 on a CPU."""
        return torch.cuda.memory_allocated() if self._device.type == "cuda" else 0


def _model_class(config: Any, files: ModelFiles) -> Any:
    """Return the class that gives token vectors: the base model, or the encoder of an encoder-decoder."""
    model_class = MODEL_FOR_TEXT_ENCODING_MAPPING.get(type(config), None)
    if model_class is None and not getattr(config, "is_encoder_decoder", False):
        model_class = MODEL_MAPPING.get(type(config), None)
    return found_class(model_class, files, "has no text encoder")
