"""From what a request says to what the engine is told: the model's own defaults, and ids that the model has."""

from ....engines.protocol import Sampling
from ....model.sampling_defaults import SamplingDefaults
from ...errors import ApiError, invalid, shorten
from ..texts import Inputs
from .bounds import SEEDS
from .options import GenerationOptions
from .values import bias_place


def sampling_of(options: GenerationOptions, defaults: SamplingDefaults, vocabulary_size: int, *, drawn_seed: int) -> Sampling:
    """Return how tokens are chosen: what the request says, else the model's defaults, else the whole distribution at 1.

    As in vLLM, `do_sample` of a model's file changes nothing. `drawn_seed` is used where the request has none; seeds are taken
    modulo 2^63. Raises the 400 for an id that is not below `vocabulary_size`, the width of the logits.
    """
    check_vocabulary(options, vocabulary_size)
    top_k = _first(options.top_k, defaults.top_k)
    return Sampling(
        seed=(drawn_seed if options.seed is None else options.seed) % SEEDS,
        temperature=float(_first(options.temperature, defaults.temperature)),
        top_p=float(_first(options.top_p, defaults.top_p)),
        top_k=int(top_k) if 0 < top_k < vocabulary_size else 0,
        min_p=float(_first(options.min_p, defaults.min_p)),
        presence_penalty=float(options.presence_penalty),
        frequency_penalty=float(options.frequency_penalty),
        repetition_penalty=float(_first(options.repetition_penalty, defaults.repetition_penalty)),
        logit_bias=dict(options.logit_bias),
    )


def check_vocabulary(options: GenerationOptions, vocabulary_size: int) -> None:
    """Raise the 400 for a bias or a stop id that is not below `vocabulary_size`, the width of the logits."""
    for number in options.logit_bias:
        if number >= vocabulary_size:
            raise _no_such_id(number, bias_place(number), vocabulary_size)
    for index, number in enumerate(options.stop_token_ids):
        if number >= vocabulary_size:
            raise _no_such_id(number, f"stop_token_ids[{index}]", vocabulary_size)


def check_prompt_ids(prompts: Inputs, vocabulary_size: int) -> None:
    """Raise the 400 for a prompt with a token id that is not below `vocabulary_size`: no tokenizer tells of it."""
    for index, ids in enumerate(prompts.tokens):
        if max(ids) >= vocabulary_size:
            number = next(each for each in ids if each >= vocabulary_size)
            raise _no_such_id(number, prompts.where(index), vocabulary_size)


def _no_such_id(number: int, place: str, size: int) -> ApiError:
    return invalid(f"'{place}': this model has no token {shorten(str(number))}; its ids are 0 to {size - 1}.", param=place)


def _first(asked: float | None, model: float) -> float:
    """Return what the request says, else what the model does."""
    return model if asked is None else asked
