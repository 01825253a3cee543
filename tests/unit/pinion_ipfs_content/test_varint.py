import pytest

from pinion_ipfs.content.varint import decode_varint, encode_varint


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**14 - 1, 2**14, 2**32, 2**63 - 1])
def test_values_round_trip(value: int) -> None:
    assert decode_varint(b"xx" + encode_varint(value) + b"yy", 2) == (value, 2 + len(encode_varint(value)))


def test_the_bytes_are_those_of_the_specification() -> None:
    assert encode_varint(1) == b"\x01"
    assert encode_varint(300) == b"\xac\x02"


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff"])
def test_a_cut_one_is_an_end_of_input(data: bytes) -> None:
    with pytest.raises(EOFError):
        decode_varint(data)


@pytest.mark.parametrize("data", [b"\x80\x00", b"\x81\x80\x00", b"\xff" * 9 + b"\x01", b"\x80" * 12])
def test_long_forms_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="varint"):
        decode_varint(data)


@pytest.mark.parametrize("value", [-1, 2**63])
def test_values_outside_63_bits_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="63 bit"):
        encode_varint(value)
