"""How much of the prompts is computed in a step of those that are answered already. Pure."""

from collections import deque
from collections.abc import Sequence
from statistics import median, median_low

LEAST, MOST, FIRST = 16, 512, 64  # tokens
_MULTIPLE = 16  # every row count never seen before costs time: few of them
# The time between two tokens may grow to three times its median while a prompt is computed: to 2.45 times here, the rest is for
# what was measured wrong. Less makes a long prompt wait for more than twice its own time.
_PREFILL_PER_STEP = 1.45
_STEPS, _COSTS = 16, 8  # measurements whose median is taken
_RELEARN = 64  # steps with pieces, after which one goes without: else nobody knew any more how long that takes


class ChunkSize:
    """Sizes the pieces of prefill by the measured time of steps with them and of steps without."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._steps: dict[int, deque[float]] = {}  # seconds without pieces, by the power of two of those that are answered
        self._with_pieces = 0  # steps since the last one without
        self._costs: deque[float] = deque(maxlen=_COSTS)  # seconds of a token of a prompt
        self._tokens = min(FIRST, most)

    def tokens(self, *, answered: int, begun: int, packed: bool = False) -> int:
        """Return how many tokens of `begun` prompts may be computed now, while as many sequences as `answered` wait for that.

        More prompts than answers get as much more: of eight that come at once, the first would else make the others wait long.
        A packed pass has a token of each of `answered` beside them: all together are a multiple then. None at all where it
        is not known how long a step of so many takes.
        """
        if not answered:
            return self._most
        steps = self._steps.get(answered.bit_length())
        if not steps or self._with_pieces >= _RELEARN:
            return 0
        if self._costs:
            fits = _PREFILL_PER_STEP * median(steps) / median_low(self._costs)
            fits = min(max(fits, self._tokens / 2), self._tokens * 2)  # one measurement may be wrong
            self._tokens = int(min(max(fits, LEAST), self._most)) // _MULTIPLE * _MULTIPLE
        found = min(self._most, self._tokens * max(answered, begun) // answered // _MULTIPLE * _MULTIPLE)
        beside = answered % _MULTIPLE if packed else 0
        return found - beside if found - beside >= LEAST // 2 else found - beside + _MULTIPLE

    def stepped(self, tokens: int, seconds: float, *, answered: int) -> None:
        """Take note of the time of a step, `tokens` of which were of prompts and `answered` the next ones of answers."""
        if not answered:
            return
        steps = self._steps.setdefault(answered.bit_length(), deque(maxlen=_STEPS))
        if not tokens:
            steps.append(seconds)
            self._with_pieces = 0
            return
        self._with_pieces += 1
        if steps and tokens >= self._tokens // 2:  # the end of a prompt costs more for each of its few tokens
            self._costs.append(max(seconds - median(steps), seconds / 8) / tokens)


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
