"""How long sequences may be and how many are computed at a time, by what memory gives. Pure."""

from dataclasses import dataclass

from ....errors import EngineLoadError, EngineOutOfMemory

MOST_SEQUENCES = 64  # unless more are asked for: more at a time make each slower, and give a CPU nothing
FEW_SEQUENCES = 4  # that memory must give before their length is cut
_MULTIPLE = 64  # tokens; a context that is cut


@dataclass(frozen=True, slots=True)
class Capacity:
    """The shape of the cache."""

    context_length: int
    max_sequences: int


def check_wishes(context_length: int, max_sequences: int) -> None:
    """Raise EngineLoadError for what no cache can be made of."""
    for name, value in (("context_length", context_length), ("max_sequences", max_sequences)):
        if value < 0:
            raise EngineLoadError(f"{name} is {value}: a number above 0 is wanted, or 0 for what memory gives")


def plan(own: int, context_length: int, max_sequences: int, token_bytes: int, free_bytes: int) -> Capacity:
    """Return the cache's shape for a model made for `own` tokens, of which one takes `token_bytes` of `free_bytes`.

    What was asked for (not 0) is kept to, and raises EngineOutOfMemory where memory does not give it.
    """
    length = min(own, context_length or own)
    places = free_bytes // max(token_bytes, 1)  # tokens of all sequences
    wanted = max_sequences or FEW_SEQUENCES
    if not context_length and length * wanted > places:
        length = min(length, max(places // wanted // _MULTIPLE * _MULTIPLE, _MULTIPLE))
    sequences = max_sequences or min(MOST_SEQUENCES, places // length)
    if sequences < 1 or sequences * length > places:
        raise EngineOutOfMemory(
            f"{max(sequences, 1)} sequences (max_sequences) of {length} tokens (context_length) take "
            f"{max(sequences, 1) * length * token_bytes >> 20} MiB of cache, and there are {free_bytes >> 20} MiB for it"
        )
    return Capacity(length, sequences)
