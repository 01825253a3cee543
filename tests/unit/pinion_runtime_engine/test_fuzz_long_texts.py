"""Any text of any script, with any tokenizer, cut at any length: what is told from a piece is so of the whole."""

from hypothesis import given
from hypothesis import strategies as st

from pinion_runtime.model.cutting import Cutter, special_ends
from tests.support.worst_texts import FAMILIES, TEXTS, tokenizer_of

SCRIPTS = "abAB 09.,-_'\n\t\u00e9\u0301\u0316\u00bd\ufb03我们,。가각\u1112\u1161\u11ab\u0e19\u0e49\u0928\u0940אب\u200d👩🏽🇫🇷▁ᚠ"
fragments = st.one_of(st.text(SCRIPTS, min_size=1, max_size=6), st.sampled_from([make(8) for make in TEXTS.values()]))
runs = st.tuples(fragments, st.integers(1, 400)).map(lambda run: run[0] * run[1])
texts = st.lists(runs, min_size=1, max_size=4).map("".join)


@given(st.sampled_from(FAMILIES), texts, st.integers(3, 40))
def test_what_is_told_of_a_piece_is_so_of_the_whole(family: str, text: str, length: int) -> None:
    rust = tokenizer_of(family)
    ids: list[int] = rust.encode(text).ids
    cutter = Cutter(rust, length, rust.encode_batch, whole_characters=0)
    encoding, settled = cutter.beginning(text, length)
    assert encoding.ids[:settled] == ids[:settled]
    assert settled > length or settled == len(ids)
    encoding, settled = cutter.end(text, length)
    if settled < len(ids):
        assert settled >= length
        _, tail = special_ends(encoding)
        own, expected = encoding.ids[: len(encoding) - tail], ids[: len(ids) - tail]
        assert own[-settled:] == expected[-settled:]
    else:
        assert encoding.ids == ids
