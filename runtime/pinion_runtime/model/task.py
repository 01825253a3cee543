"""What a model folder can do, and which of it is meant: pure functions of what its own files declare."""

from typing import Literal

from ..errors import EngineLoadError

Task = Literal["feature-extraction", "text-generation"]  # as Hugging Face names them

_CAUSAL_HEADS = ("ForCausalLM", "LMHeadModel")


def is_causal_language_model(architecture: str, *, is_causal: bool | None) -> bool:
    """Tell whether an architecture of config.json has a head that continues text; `is_causal` is the field of that name."""
    return architecture.endswith(_CAUSAL_HEADS) and is_causal is not False


def tasks_of(architecture: str, *, is_causal: bool | None, has_modules: bool) -> tuple[Task, ...]:
    """Return what a model can do, first what it is meant for.

    `has_modules`: the folder has the modules.json of sentence-transformers, and so is meant for vectors, whatever head its
    checkpoint was saved with.
    """
    if not is_causal_language_model(architecture, is_causal=is_causal):
        return ("feature-extraction",)
    return ("feature-extraction", "text-generation") if has_modules else ("text-generation", "feature-extraction")


def choose_task(wanted: str, possible: tuple[Task, ...], architecture: str) -> Task:
    """Return the task that is wanted, "" = what the model is meant for; raise EngineLoadError when the model can't do it."""
    if not wanted:
        return possible[0]
    for task in possible:
        if task == wanted:
            return task
    raise EngineLoadError(f"{architecture} can't do {wanted}; it can do {' and '.join(possible)}")
