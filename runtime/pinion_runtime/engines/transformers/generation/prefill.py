"""How much of the prompts is computed between two steps of those that are answered already. Pure."""

from collections import deque
from collections.abc import Sequence
from statistics import median

LEAST, MOST, FIRST = 16, 512, 64  # tokens
_MULTIPLE = 16  # every row count never seen before costs time: few of them
# The time between two tokens may grow to three times its median while a prompt is computed: to 2.6 times here, the rest is for
# what was measured wrong.
_PREFILL_PER_STEP = 1.6
_STEPS = 32  # whose median is taken


class ChunkSize:
    """Sizes the pieces of prefill by the measured time of steps with them and of steps without."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._tokens = min(FIRST, most)

    def tokens(self, *, answered: int, begun: int, packed: bool = False) -> int:
        """Return how many tokens of `begun` prompts may be computed now, while as many sequences as `answered` wait for that.

        More prompts than answers get as much more: of eight that come at once, the first would else make the others wait long.
        A packed pass has a token of each of `answered` beside them: all together are a multiple then.
        """
        if not answered:
            return self._most
        found = min(self._most, self._tokens * max(answered, begun) // answered // _MULTIPLE * _MULTIPLE)
        beside = answered % _MULTIPLE if packed else 0
        return found - beside if found - beside >= LEAST // 2 else found - beside + _MULTIPLE

    def stepped(self, tokens: int, seconds: float, *, answered: int) -> None:
        """Take note of the time of a step, `tokens` of which were of prompts and `answered` the next ones of answers."""
        if not tokens:
            self._steps.append(seconds)
        if not self._steps or not answered or tokens < self._tokens // 2:
            return  # the end of a prompt costs more for each of its few tokens
        step = median(self._steps)
        per_token = max(seconds - step, seconds / 8) / tokens
        fits = _PREFILL_PER_STEP * step / per_token
        fits = min(max(fits, self._tokens / 2), self._tokens * 2)  # one measurement may be wrong
        self._tokens = int(min(max(fits, LEAST), self._most)) // _MULTIPLE * _MULTIPLE


def divide(pending: Sequence[int], budget: int) -> list[int]:
    """Return how many tokens of each prompt are computed, of those pending, the first come first.

    The first has at least half of the budget; the rest goes to the shortest, which would else wait for a long one.
    """
    fed = [0] * len(pending)
    kept = min(pending[0], budget if len(pending) == 1 else (budget + 1) // 2)
    left = budget - kept
    for place in sorted(range(1, len(pending)), key=lambda place: pending[place]):
        fed[place] = min(pending[place], left)
        left -= fed[place]
    fed[0] = min(pending[0], kept + left)
    return fed
