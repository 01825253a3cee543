"""How a request wants its answers made: what both routes share, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ...errors import invalid
from ..taking import unsupported
from .reading import Given
from .values import parse_logit_bias, parse_stop, parse_stop_ids, parse_stream_options

NO_LOGPROBS = -1


@dataclass(frozen=True)
class GenerationOptions:
    """How answers are made; None is what the model does by itself."""

    model: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None  # 0 and -1: all
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    seed: int | None = None  # None: another one each time
    n: int = 1
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    min_tokens: int = 0
    max_tokens: int | None = None  # None: what the context leaves
    logprobs: int = NO_LOGPROBS  # of each token, and of so many of the likeliest
    stream: bool = False
    include_usage: bool = False
    skip_special_tokens: bool = True


def parse_options(given: Given, *, logprobs: int) -> GenerationOptions:
    """Combine parameters, each valid by itself; raise the 400 of a contradiction, and of a value within a value."""
    values = given.values
    if "model" not in values:
        raise invalid("'model' must name the model, as a string.", param="model")
    stream = values.get("stream", False)
    if "stream_options" in values and not stream:
        raise invalid("'stream_options' is only taken with 'stream': true.", param="stream_options")
    n, best_of = values.get("n", 1), values.get("best_of")
    if best_of is not None and best_of != n:
        message = f"'best_of' is {best_of} and 'n' is {n}: no more answers are made than are sent."
        raise unsupported(message, "best_of")
    min_tokens, max_tokens = values.get("min_tokens", 0), values.get("max_tokens")
    if max_tokens is not None and min_tokens > max_tokens:
        message = f"'min_tokens' is {min_tokens}, more than '{given.place('max_tokens')}', which is {max_tokens}."
        raise invalid(message, param="min_tokens")
    return GenerationOptions(
        model=values["model"],
        temperature=values.get("temperature"),
        top_p=values.get("top_p"),
        top_k=values.get("top_k"),
        min_p=values.get("min_p"),
        repetition_penalty=values.get("repetition_penalty"),
        presence_penalty=values.get("presence_penalty", 0.0),
        frequency_penalty=values.get("frequency_penalty", 0.0),
        logit_bias=MappingProxyType(parse_logit_bias(values.get("logit_bias", {}))),
        seed=values.get("seed"),
        n=n,
        stop=parse_stop(values.get("stop", ())),
        stop_token_ids=parse_stop_ids(values.get("stop_token_ids", ())),
        ignore_eos=values.get("ignore_eos", False),
        min_tokens=min_tokens,
        max_tokens=max_tokens,
        logprobs=logprobs,
        stream=stream,
        include_usage=parse_stream_options(values.get("stream_options", {})),
        skip_special_tokens=values.get("skip_special_tokens", True),
    )
