"""Decoders through transformers: in slots where the model's sequences can share a pass, else one at a time."""

from collections.abc import Collection
from typing import Any

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from ....errors import EngineLoadError, EngineOutOfMemory, ErrorCode
from ....model.files import read_model_files
from ....model.own_code import FOR_TEXTS, refuse_own_code
from ....model.tokenizer_files import check_tokenizer_files
from ...memory import measure_memory
from ...memory_limit import available_memory
from ...protocol import Capabilities, EngineSpec, Failure, Generate, Sampling, Step
from ...token_bytes import int32_bytes
from ..linear import reorder_linear_layers
from ..loading import ROUNDING, found_class, free_for_weights, is_out_of_memory, load_errors, load_model, read_config
from ..opened_files import OpenedFiles
from ..tokenizer import load_tokenizer
from ..widening import emulates, widen_linear_layers
from . import declared
from .capacity import Capacity, check_wishes, plan
from .check import check_causal, check_one_at_a_time, check_slots, usable_ids
from .generation import Generation
from .model_call import logits_width
from .one_at_a_time import OneAtATime
from .pass_threads import adapt_threads
from .precision import half_bytes, in_float32
from .slab import CannotShare
from .slots import Slots
from .strategy import Strategy
from .thread_count import ThreadCount

_CACHE_SHARE = 0.6  # of the memory that is left once the model is loaded; the rest is for what passes hold for a moment
_REORDERED = 8  # tokens of the texts that are computed with and without reordered weights


class TransformersDecoder:
    """A loaded decoder: requests are added, and each `step` gives a token of every running one."""

    def __init__(self, spec: EngineSpec) -> None:
        check_wishes(spec.context_length, spec.max_sequences)
        self._opened = OpenedFiles(spec.snapshot)
        files = read_model_files(spec.snapshot)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with load_errors(files):
            check_tokenizer_files(files.transformer)
            config = read_config(files)
            refuse_own_code("config.json", getattr(config, "auto_map", None), FOR_TEXTS)
            model, dtype = load_model(
                files,
                found_class(MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None), files, "continues no texts"),
                config,
                spec.dtype,
                self._opened,
            )
            model.eval().requires_grad_(requires_grad=False).to(self._device)
            threads = torch.get_num_threads()
            if self._device.type == "cpu":
                adapt_threads(model, ThreadCount(threads))
            tokenizer = load_tokenizer(files, self._opened)
            vocabulary_size = logits_width(model)
            end_ids = declared.end_ids(config, files.transformer, vocabulary_size)
            own = declared.context_length(config, files.transformer)
            rope = ""
            if 0 < (limit := declared.longrope_limit(config)) < own:
                rope = f"the context ends where its rope changes (longrope): after {limit} of {own} tokens"
                own = limit
            ids = [one for one in usable_ids(tokenizer.texts, tokenizer.special_ids) if one < vocabulary_size]
            untied = _untied(model)
            strategy, capacity, *reasons = self._choose_strategy(model, dtype, ids, own, spec)
            self._generation = Generation(
                strategy,
                context_length=capacity.context_length,
                vocabulary_size=vocabulary_size,
                end_ids=end_ids,
                out_of_memory=is_out_of_memory,
            )
            self._try(ids[:1])
        self._strategy = strategy
        self.tokenizer = tokenizer.json
        self.capabilities = Capabilities(
            task=spec.task,
            dimensions=0,
            max_sequence_length=capacity.context_length,
            dtype=str(dtype).removeprefix("torch."),
            device=str(self._device),
            engine=f"transformers/{strategy.name}",
            architecture=files.architecture,
            threads=threads,
            opened_files=self._opened.names(),
            special_ids=tokenizer.special_ids,
            engine_reason="; ".join(found for found in (*reasons, untied, rope) if found),
            context_length=capacity.context_length,
            max_sequences=capacity.max_sequences,
            vocabulary_size=vocabulary_size,
            end_ids=end_ids,
        )

    def add(self, request: Generate) -> None:
        """Queue a request; nothing is computed. One that can't be generated fails with the next step."""
        self._generation.add(request)

    def cancel(self, keys: Collection[int]) -> int:
        """End requests that nobody waits for, and return how many choices ended; unknown keys are none."""
        return self._generation.cancel(keys)

    def step(self) -> list[Step]:
        """Choose a token for every running sequence, then compute a bounded piece of the prompts that have begun."""
        return self._generation.step()

    @property
    def busy(self) -> bool:
        """Tell whether `step` has something to do or to tell."""
        return self._generation.busy

    @property
    def running(self) -> int:
        """Return how many choices are generated."""
        return self._generation.running

    @property
    def unfinished(self) -> int:
        """Return how many choices have not ended: those that are generated and those that wait."""
        return self._generation.unfinished

    @property
    def used_tokens(self) -> int:
        """Return how many places of the cache running choices take."""
        return self._strategy.used_tokens

    def device_bytes(self) -> int:
        """Return what is allocated on the accelerator, 0 on a CPU."""
        return torch.cuda.memory_allocated() if self._device.type == "cuda" else 0

    def _try(self, prompt: list[int]) -> None:
        """Choose one token in the model's own precision, which makes the cache; raise what keeps it from that."""
        self.add(Generate(0, "load", float("inf"), int32_bytes(prompt), 1, Sampling(temperature=0.0)))
        while self.busy:
            for step in self.step():
                if step.failure is not None:
                    raise _load_error(step.failure)

    def _choose_strategy(
        self, model: Any, dtype: torch.dtype, ids: list[int], own: int, spec: EngineSpec
    ) -> tuple[Strategy, Capacity, str, str]:
        """Return slots, or one at a time where the check says why slots can't be; the shape of the cache; and reasons."""
        length = min(own, spec.context_length or own)
        if length < 2:
            raise EngineLoadError(f"a context of {length} tokens has no room for a prompt and an answer")
        wide = dtype != torch.float32 and 2 * half_bytes(model) < self._free_bytes()
        tolerance = ROUNDING[torch.float32] if wide else ROUNDING.get(dtype, ROUNDING[torch.float32])
        values, masked, alone, apart = 0, False, "", ""
        with in_float32(model, wanted=wide):
            check_causal(model, ids, length)
            try:
                values, apart = _check_slots(model, ids, length, tolerance)
            except CannotShare as error:
                masked, alone = check_one_at_a_time(model, ids, length, tolerance), str(error)
        plain = self._prepare_linear_layers(model, dtype, ids[:length])
        if alone:
            return OneAtATime(model, masked=masked), Capacity(length, 1), alone, plain
        capacity = plan(own, spec.context_length, spec.max_sequences, values * dtype.itemsize, self._free_bytes())
        slots = Slots(model, capacity.max_sequences, capacity.context_length, packed=not apart)
        return slots, capacity, apart, plain

    def _prepare_linear_layers(self, model: Any, dtype: torch.dtype, ids: list[int]) -> str:
        texts = torch.tensor([ids[:_REORDERED], ids[:_REORDERED][::-1]], device=self._device)

        def compute() -> torch.Tensor:
            found = [model(input_ids=given).logits.float().flatten(0, 1) for given in (texts, texts[:1, :1])]
            return torch.cat(found)  # a single token's products may go another way

        tolerance = ROUNDING.get(dtype, ROUNDING[torch.float32])
        reason = ""
        if emulates(model):
            reason = widen_linear_layers(model, compute, tolerance, free_for_weights())
            if not reason:
                return ""
        plain = reorder_linear_layers(model, compute, tolerance, free_for_weights())
        return "; ".join(found for found in (reason, plain) if found)

    def _free_bytes(self) -> int:
        """Return what the cache may take of memory."""
        if self._device.type == "cuda":
            free, _ = torch.cuda.mem_get_info()
        else:
            free = available_memory(measure_memory().resident_bytes)
        return int(free * _CACHE_SHARE)


def _check_slots(model: Any, ids: list[int], longest: int, tolerance: float) -> tuple[int, str]:
    """Return how many numbers slots keep of a token, and why passes can't be packed, "" where they can; raises CannotShare."""
    try:
        return check_slots(model, ids, longest, tolerance), ""
    except CannotShare as error:
        reason = f"prompts are computed in passes of their own: {error}"
    return check_slots(model, ids, longest, tolerance, packed=False), reason


def _load_error(failure: Failure) -> EngineLoadError:
    """Return the failure of a request at load as an error of loading."""
    kind = EngineOutOfMemory if failure.code is ErrorCode.OUT_OF_MEMORY else EngineLoadError
    return kind(f"a first token can't be computed: {failure.message}")


def _untied(model: Any) -> str:
    """Return that head and embeddings are two tensors although config.json ties them; "" where they are not."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or not model.config.get_text_config(decoder=True).tie_word_embeddings or head.weight is embeddings.weight:
        return ""
    return "config.json ties head and embeddings, and the checkpoint has two different tensors: each is used as it is"
