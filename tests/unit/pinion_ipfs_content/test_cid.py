import hashlib

import libipld
import pytest

from pinion_ipfs.content.cid import DAG_PB, MAX_INLINE, RAW, Cid
from pinion_ipfs.content.errors import ContentError, InvalidCid, UnsupportedDag
from pinion_ipfs.content.varint import encode_varint

HELLO = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"  # printed by Kubo for "hello\n"
HELLO_V0 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"  # likewise, with the old defaults


def test_the_cid_of_a_block_is_what_kubo_prints() -> None:
    assert str(Cid.of_block(RAW, b"hello\n")) == HELLO


@pytest.mark.parametrize("codec", [RAW, DAG_PB])
def test_text_and_bytes_round_trip_and_agree_with_libipld(codec: int) -> None:
    for number in range(300):
        cid = Cid.from_digest(codec, hashlib.sha256(str(number).encode()).digest())
        assert Cid.parse(str(cid)) == cid == Cid.from_bytes(bytes(cid))
        assert libipld.encode_cid(bytes(cid)) == str(cid)
        told = libipld.decode_cid(str(cid))
        assert (told["version"], told["codec"], told["hash"]["code"], told["hash"]["digest"]) == (1, codec, 0x12, cid.digest)


def test_base58_is_read_and_printed_as_base32() -> None:
    cid = Cid.parse(HELLO_V0)
    assert (cid.version, cid.codec) == (0, DAG_PB)
    assert cid.digest == libipld.decode_cid(HELLO_V0)["hash"]["digest"]
    assert len(bytes(cid)) == 34
    again = Cid.parse(str(cid))
    assert str(cid).startswith("bafybei")
    assert again == cid
    assert hash(again) == hash(cid)
    assert again.version == 1


def test_cids_of_different_codecs_are_different() -> None:
    digest = bytes(32)
    assert Cid.from_digest(RAW, digest) != Cid.from_digest(DAG_PB, digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "Q",
        "hello",
        "../../etc/passwd",
        f"/ipfs/{HELLO}",
        f"{HELLO}/config.json",
        f" {HELLO}",
        f"{HELLO}\n",
        HELLO[:-1],
        HELLO + "a",
        HELLO + "=",
        HELLO.upper(),
        "B" + HELLO[1:].upper(),
        HELLO[:10] + HELLO[10].upper() + HELLO[11:],
        HELLO[:-1] + "n",  # a stray bit in the last character: another text for the same block
        HELLO[:20] + "0" + HELLO[21:],
        HELLO[:20] + "é" + HELLO[21:],
        HELLO[:20] + "\0" + HELLO[21:],
        "b" * 10_000,
        HELLO_V0[:-1],
        HELLO_V0 + "a",
        HELLO_V0[:-1] + "0",
        HELLO_V0[:-1] + "é",
        "Qm" + "z" * 44,
        "z" + HELLO_V0,
    ],
)
def test_what_is_no_cid_is_refused(text: str) -> None:
    with pytest.raises(InvalidCid):
        Cid.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "bafyreidykglsfhoixmivffc5uwhcgshx4j465xwqntbmu43nb2dzqwfvae",  # dag-cbor
        # sha2-512
        "bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs",
    ],
)
def test_other_codecs_and_hashes_are_unsupported(text: str) -> None:
    with pytest.raises(UnsupportedDag):
        Cid.parse(text)


def test_binary_forms_that_are_wrong_are_refused() -> None:
    good = bytes(Cid.parse(HELLO))
    for broken in (good[:-1], good + b"\0", b"", b"\x01", b"\x02" + good[1:], b"\x81\x00" + good[1:], b"\x80" * 20, good[:3]):
        with pytest.raises(ContentError):
            Cid.from_bytes(broken)
    with pytest.raises(InvalidCid):
        Cid.from_digest(RAW, bytes(31))
    with pytest.raises(UnsupportedDag):
        Cid.from_digest(0x71, bytes(32))


@pytest.mark.parametrize("codec", [RAW, DAG_PB])
@pytest.mark.parametrize("size", [0, 1, 32, 64, MAX_INLINE])
def test_a_cid_may_hold_its_block(codec: int, size: int) -> None:
    block = bytes(range(size))
    cid = Cid.from_bytes(bytes((1, codec, 0)) + encode_varint(size) + block)
    assert cid.inline == block
    assert Cid.parse(str(cid)) == cid == Cid.from_bytes(bytes(cid))
    if size <= 64:  # as many as libipld takes
        assert libipld.decode_cid(str(cid))["hash"]["digest"] == block
    assert cid.of_other(block) == cid
    assert cid.of_other(b"another") == Cid.of_block(codec, b"another")


def test_an_inline_block_has_a_bound() -> None:
    large = b"\x01\x55\x00" + encode_varint(MAX_INLINE + 1) + bytes(MAX_INLINE + 1)
    with pytest.raises(UnsupportedDag, match=f"identity .* up to {MAX_INLINE}$"):
        Cid.from_bytes(large)
    with pytest.raises(InvalidCid, match="cut short"):
        Cid.from_bytes(b"\x01\x55\x00\x06inlin")


def test_an_inline_block_of_32_bytes_is_no_digest() -> None:
    digest = bytes(range(32))
    assert Cid.from_bytes(b"\x01\x55\x00\x20" + digest) != Cid.from_digest(RAW, digest)
