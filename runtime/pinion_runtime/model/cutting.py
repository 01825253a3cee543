"""The ends of texts that are too long to be tokenised whole: the same ids as of the whole, from a piece of it.

What follows a piece can change its last tokens and, with a tokenizer that splits at white space only, the last "word" may be a
whole document. Within such a word the first tokens are told from the piece alone like this:

* No token is longer than the longest of the vocabulary, so that the whole text has a border between tokens in the last stretch
  of that length of the piece. Up to that border, the tokens of the whole are the tokens of the text up to there: BPE merges on
  both sides of a border do not depend on each other, and the best path of a Unigram model to a border does not depend on what
  follows.
* So what is common to the tokens of the text up to each place of that stretch, is common to the whole too.
* With BPE it suffices to look from a border on: a row of tokens stands when each two neighbours in it stand.

WordPiece makes one token of a long word, however it goes on; there the tokens before the last word stand, as they do for all.
"""

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

# Characters that are tokenised at once, at most, unless the model takes more: each needs 200 bytes meanwhile.
MOST_CHARACTERS = 1 << 19
_CHARACTERS_PER_TOKEN = 16  # first guess of how much text fills the model; a common English token has 4 to 5
WHOLE_CHARACTERS = 128 << 10
_LONGEST_TOKEN = 256  # characters; with a longer one in the vocabulary nothing is told within a word
_BACK_CHARACTERS = 256  # how far from where it was asked for a piece may be cut
_MARGIN = 4  # characters at the end of a piece that splitting rules look at
_BEFORE_BORDER = 8  # tokens
_STARTS = 16  # ends of texts are tokenised from so many places on, at least
_GROUP_CHARACTERS = 128 << 10  # of pieces that are tokenised together
# Letters of which syllables are made, and those of which flags are.
_JOINED = (("\u1100", "\u11ff"), ("\ua960", "\ua97f"), ("\ud7b0", "\ud7ff"), ("\U0001f1e6", "\U0001f1ff"))

Encode = Callable[[Sequence[str]], list[Any]]


class Cutter:
    """Tokenises as much of a text as it takes; safe to call from several threads."""

    def __init__(self, rust: Any, max_length: int, encode: Encode, whole_characters: int = WHOLE_CHARACTERS) -> None:
        """`encode` is how texts are tokenised, special tokens included; a text this long is tokenised whole for its end."""
        self._rust, self._encode, self._whole = rust, encode, whole_characters
        self._most = max(MOST_CHARACTERS, max_length * _CHARACTERS_PER_TOKEN)
        self.first_size = max(1024, max_length * _CHARACTERS_PER_TOKEN)
        self._kind = type(rust.model).__name__
        told = self._kind == "Unigram" or (self._kind == "BPE" and not rust.model.end_of_word_suffix and not rust.model.dropout)
        self._longest = max(map(len, rust.get_vocab(with_added_tokens=False)), default=0) if told else 0
        self._within_words = 0 < self._longest <= _LONGEST_TOKEN
        self._bare: Any = RustTokenizer(rust.model)  # words to tokens: nothing is normalised or split

    @property
    def most_characters(self) -> int:
        """The longest piece of a text that is tokenised at once."""
        return self._most

    def beginning(self, text: str, tokens: int) -> tuple[Any, int]:
        """Return the encoding of a beginning of a text, and how many of its first tokens are those of the whole.

        These are all, or more than `tokens`; fewer only of a text whose first `most_characters` do not tell.
        """
        size = self.first_size
        while True:
            if size >= len(text):
                (encoding,) = self._encode([text])
                return encoding, len(encoding)
            piece = text[: _place_to_cut(text, size)]
            (encoding,) = self._encode([piece])
            settled = self._settled(encoding, piece, tokens)
            if settled > tokens or size >= self._most:
                return encoding, settled
            size = min(4 * size, self._most)

    def end(self, text: str, tokens: int) -> tuple[Any, int]:
        """Return the encoding of an end of a text, and how many of its last tokens, special ones aside, are those of the whole.

        These are all, or at least `tokens`; fewer only of a text whose last `most_characters` do not tell.
        """
        size = self.first_size
        while len(text) > max(size, self._whole):
            first = _place_to_cut(text, len(text) - size)
            settled, encoding = self._settled_at_end(text, range(first, first + max(_STARTS, self._longest)))
            if settled >= tokens:
                return encoding, settled
            if size >= self._most:
                break
            size = min(4 * size, self._most)
        if len(text) > self._most:
            return encoding, settled
        (encoding,) = self._encode([text])
        return encoding, len(encoding)

    # --- what stands

    def _settled(self, encoding: Any, piece: str, tokens: int) -> int:
        """Return how many of the first tokens stand; where there are enough, `tokens` and one more."""
        before, inside = _last_word(encoding)
        if before > tokens or not self._within_words:
            return before
        wanted = tokens + 1 - before
        for spare in (1.2, 2, 8):  # no more of the word than it takes: looking at it holds others up
            size = int(len(piece) * (before + wanted) / (before + inside + 1) * spare) + 4 * self._longest
            part = piece if size >= len(piece) else piece[: _place_to_cut(piece, size)]
            if self._stands_in_word(part, before, wanted):
                return tokens + 1
            if part is piece:
                break
        return before

    def _stands_in_word(self, piece: str, before: int, wanted: int) -> bool:
        """Tell whether the first `wanted` tokens of the last word of a piece stand, which begins after so many tokens."""
        (encoding,) = self._encode([piece])
        found, inside = _last_word(encoding)
        if found != before or inside <= wanted:
            return False
        word = self._word(piece)
        (bare,) = self._bare.encode_batch([word], add_special_tokens=False)
        ids: list[int] = bare.ids
        offsets: list[tuple[int, int]] = bare.offsets
        if ids != encoding.ids[before : before + inside]:  # an added token, or a rule of another kind
            return False
        borders = [place for place in range(1, len(ids)) if offsets[place - 1][1] <= offsets[place][0]]
        after = next((place for place in borders if place >= wanted), None)
        if after is None:
            return False
        border = offsets[after][0]
        last = border + 2 * self._longest + _MARGIN
        if last + _MARGIN > len(word):
            return False
        places = range(last - self._longest + 1, last + 1)
        if self._kind == "Unigram":
            return self._common(word, 0, places, ids[:after])
        start = max((place for place in borders if place <= after - _BEFORE_BORDER), default=0)
        return self._common(word, offsets[start][0], places, ids[start:after], border)

    def _common(self, word: str, start: int, places: Sequence[int], ids: list[int], border: int | None = None) -> bool:
        """Tell whether the text from `start` up to each of these places begins with these tokens, and ends as from `border`."""
        size = max(1, _GROUP_CHARACTERS // (places[-1] - start))
        for first in range(0, len(places), size):
            group = places[first : first + size]
            found = self._tokens([word[start:place] for place in group])
            if any(tokens[: len(ids)] != ids for tokens in found):
                return False
            if border is not None and [tokens[len(ids) :] for tokens in found] != self._tokens(
                [word[border:place] for place in group]
            ):
                return False
        return True

    def _settled_at_end(self, text: str, starts: Sequence[int]) -> tuple[int, Any]:
        """Return how many of the last tokens are the same from all these places on, and the encoding from the first."""
        settled: int | None = None
        shared: list[int] = []
        whole: Any = None
        size = max(1, _GROUP_CHARACTERS // (len(text) - starts[0]))
        for first in range(0, len(starts), size):
            for encoding in self._encode([text[start:] for start in starts[first : first + size]]):
                head, tail = special_ends(encoding)
                ids: list[int] = encoding.ids[head : len(encoding) - tail]
                own = len(ids) - _first_word_tokens(encoding, head, self._longest if self._kind == "BPE" else 0)
                if not own:  # all of it is one word
                    return 0, encoding
                if settled is None:
                    whole, settled, shared = encoding, own, ids
                    continue
                settled = _common_end(shared, ids, min(settled, own))
                if not settled:
                    return 0, whole
        return settled or 0, whole

    def _tokens(self, words: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._bare.encode_batch_fast(words, add_special_tokens=False)]

    def _word(self, piece: str) -> str:
        """Return the last word of a piece as the model sees it."""
        normal: str = self._rust.normalizer.normalize_str(piece) if self._rust.normalizer is not None else piece
        if self._rust.pre_tokenizer is None:
            return normal
        words = self._rust.pre_tokenizer.pre_tokenize_str(normal)
        return str(words[-1][0]) if words else ""


def special_ends(encoding: Any) -> tuple[int, int]:
    """Return how many special tokens are before and after the text's own."""
    flags: list[int] = encoding.special_tokens_mask
    head = next((place for place, flag in enumerate(flags) if not flag), len(flags))
    tail = next((place for place, flag in enumerate(reversed(flags)) if not flag), 0)
    return head, tail


def _last_word(encoding: Any) -> tuple[int, int]:
    """Return how many tokens lie before the last word, and how many in it."""
    words: list[int | None] = encoding.word_ids
    last = next((word for word in reversed(words) if word is not None), None)
    return (words.index(last), words.count(last)) if last is not None else (0, 0)


def _first_word_tokens(encoding: Any, head: int, most: int) -> int:
    """Return how many tokens of a text's own lie in its first word; not more than `most`, where that is not 0."""
    words: list[int | None] = encoding.word_ids[head:]
    count = words.count(words[0]) if words else 0
    return min(count, most) if most else count


def _common_end(one: list[int], other: list[int], most: int) -> int:
    """Return how many of the last items are the same, `most` at most."""
    if most and one[-most:] == other[-most:]:
        return most
    return next((place for place in range(most) if one[-1 - place] != other[-1 - place]), most)


def _place_to_cut(text: str, place: int) -> int:
    """Return a place at `place` or a little before it where normalising joins nothing; `place` where there is none."""
    for candidate in range(place, max(0, place - _BACK_CHARACTERS), -1):
        before, after = text[candidate - 1], text[candidate]
        if after.isascii() and after.isprintable():
            return candidate
        if unicodedata.category(after)[0] in "LNPS" and unicodedata.category(before)[0] in "LNPSZ" and _apart(before, after):
            return candidate
    return place


def _apart(before: str, after: str) -> bool:
    """Tell whether two characters beside each other are what they are alone."""
    if any(first <= each <= last for each in (before, after) for first, last in _JOINED) or unicodedata.category(after) == "Sk":
        return False
    both = unicodedata.normalize("NFKC", before + after)
    return both == unicodedata.normalize("NFKC", before) + unicodedata.normalize("NFKC", after)
