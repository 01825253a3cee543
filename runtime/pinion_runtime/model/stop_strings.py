"""Text up to a stop string, while it comes in pieces: held back is only what may be the beginning of one."""

from collections.abc import Sequence

MOST_STOPS = 16
MOST_STOP_CHARACTERS = 1024


class StopStrings:
    """The stop strings of one answer.

    The one that is complete first wins, the longest of those that are complete with the same character; so it does not
    matter how the text is cut into pieces. Raises ValueError for an empty one, one that is too long, or too many.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if len(stops) > MOST_STOPS:
            raise ValueError(f"stop has {len(stops)} strings; at most {MOST_STOPS} are taken")
        for place, stop in enumerate(stops):
            if not stop:
                raise ValueError(f"stop[{place}] is empty")
            if len(stop) > MOST_STOP_CHARACTERS:
                raise ValueError(f"stop[{place}] has {len(stop)} characters; at most {MOST_STOP_CHARACTERS} are taken")
        self._beginnings = [_Beginning(stop) for stop in dict.fromkeys(stops)]
        self._held = ""
        self._matched: str | None = None

    def feed(self, text: str) -> tuple[str, str | None]:
        """Return the text that can be given out, and the stop string that ends it: what follows is dropped then."""
        if self._matched is not None or not self._beginnings:
            return ("" if self._beginnings else text), self._matched
        known, self._held = self._held + text, ""
        found = [(start + len(stop), start, stop) for stop in self._stops if (start := known.find(stop)) >= 0]
        if found:
            _, start, self._matched = min(found)
            return known[:start], self._matched
        held = max(beginning.feed(text) for beginning in self._beginnings)
        safe = len(known) - held
        self._held = known[safe:]
        return known[:safe], None

    def flush(self) -> str:
        """Return what is held back, when no more text comes."""
        held, self._held = self._held, ""
        return held

    @property
    def _stops(self) -> Sequence[str]:
        return [beginning.stop for beginning in self._beginnings]


class _Beginning:
    """How much of a stop string the text ends with, by the method of Knuth, Morris and Pratt."""

    def __init__(self, stop: str) -> None:
        self.stop = stop
        self._length = 0
        self._shorter = [0, 0]  # of a beginning, by its length: the next shorter one that it ends with
        for character in stop[1:]:
            self._shorter.append(self._longer(self._shorter[-1], character))

    def feed(self, text: str) -> int:
        """Return the length of the longest beginning that the text so far ends with; the whole string is not in it."""
        if len(text) >= len(self.stop):  # what was before does not matter
            self._length, text = 0, text[1 - len(self.stop) :] if len(self.stop) > 1 else ""
        for character in text:
            self._length = self._longer(self._length, character)
        return self._length

    def _longer(self, length: int, character: str) -> int:
        while length and self.stop[length] != character:
            length = self._shorter[length]
        return length + (self.stop[length] == character)
