"""What every backend that can be written to does alike, whatever it is."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from pinion_ipfs.backends.base import Backend, Capability, CarSource, DagStat
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.errors import BackendUnavailable, ContentError, ContentMissing, MalformedCar, PinFailed, UnsupportedDag
from pinion_ipfs.threads import finish_in_thread
from tests.support.backends import WRITABLE, Places
from tests.support.cars import directory, in_chunks, leaf, make_car, make_tree, node

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024


def source_of(files: dict[str, bytes], *, announced: int = 0) -> CarSource:
    tree, (_, car) = make_tree(files), make_car(files)
    return CarSource(tree, announced or len(car), lambda: in_chunks(car))


async def read(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])


async def test_a_probe_is_a_round_trip(adder: Backend) -> None:
    health = await adder.probe()
    assert (health.usable, health.reason) == (True, "")
    assert {"add", "cat", "compare"} <= set(health.checks)
    assert {Capability.READ, Capability.ADD, Capability.PIN} <= adder.capabilities


@pytest.mark.parametrize("size", [0, 1, 70_000, MIB])
async def test_what_is_added_is_read_back_under_the_address_that_its_bytes_have(adder: Backend, size: int) -> None:
    data = os.urandom(size)
    cid = await adder.add_bytes(data)
    assert cid == Cid.of_block(RAW, data)
    assert await adder.has(cid)
    assert await adder.block_get(cid) == data
    assert await read(adder.cat(cid)) == data
    assert await adder.stat(cid) == DagStat(cid, 1, size)
    assert cid in await adder.pin_ls()
    await adder.unpin(cid)
    await adder.unpin(cid)
    assert cid not in await adder.pin_ls()


async def test_what_is_added_without_a_pin_has_none(adder: Backend) -> None:
    cid = await adder.add_bytes(os.urandom(20), pin=False)
    assert cid not in await adder.pin_ls()


async def test_a_file_of_more_than_one_block_comes_as_a_car(adder: Backend) -> None:
    with pytest.raises(ContentError, match="more than one block"):
        await adder.add_bytes(bytes(MIB + 1))


async def test_blocks_of_both_codecs(backend: Backend) -> None:
    inner = leaf(os.urandom(9))
    root = directory(("a", inner))
    assert await backend.block_put(inner[1], codec=RAW) == inner[0]
    assert await backend.block_put(root[1], codec=DAG_PB) == root[0]
    assert await backend.block_get(root[0]) == root[1]


async def test_a_directory_goes_in_is_whole_is_pinned_and_comes_out_as_it_was(backend: Backend) -> None:
    files = {
        "a.bin": os.urandom(3 * MIB + 9),
        "below/b.txt": os.urandom(7),
        "below/again.txt": b"",
        "copy": b"same",
        "same": b"same",
    }
    car = source_of(files)
    root = car.tree.root
    assert await backend.dag_import(car) > 0
    stat = await backend.stat(root)
    assert (stat.cid, stat.blocks) == (root, 10)
    await backend.pin(root)
    assert root in await backend.pin_ls()
    assert await read(backend.dag_export(root)) == make_car(files)[1]
    assert await read(backend.cat(car.tree.files["a.bin"].cid)) == files["a.bin"]
    with pytest.raises(UnsupportedDag, match="is a directory"):
        await read(backend.cat(root))
    await backend.unpin(root)


async def test_what_is_not_there_is_said_to_be_missing(backend: Backend) -> None:
    absent = Cid.of_block(RAW, os.urandom(20))
    half = directory(("here", leaf(b"here")), ("lost", (absent, bytes(20))))
    await backend.block_put(half[1], codec=DAG_PB)
    assert not await backend.has(absent)
    for call in (backend.block_get(absent), read(backend.cat(absent)), backend.stat(absent), backend.stat(half[0])):
        with pytest.raises(ContentMissing):
            await call
    with pytest.raises(ContentMissing):
        await read(backend.dag_export(absent))
    await backend.unpin(absent)


@pytest.mark.parametrize("name", WRITABLE)
async def test_what_is_not_wholly_there_is_not_pinned(name: str, places: Places) -> None:
    backend = places.makers()[name]()
    hasty = places.makers(rpc_seconds=5)[name]()  # the daemon waits without a word for a block that it lacks
    half = directory(("lost", leaf(os.urandom(20))))
    await backend.block_put(half[1], codec=DAG_PB)
    with pytest.raises((ContentMissing, PinFailed)):
        await hasty.pin(half[0])
    assert half[0] not in await backend.pin_ls()
    for each in (backend, hasty):
        await each.close()


async def test_a_file_with_a_lost_leaf_ends_with_an_error_after_what_is_there(backend: Backend) -> None:
    first, lost = leaf(os.urandom(MIB)), leaf(os.urandom(MIB))
    whole = make_tree({"f": first[1] + lost[1]}).files["f"]
    await backend.block_put(first[1], codec=RAW)
    await backend.block_put(whole.nodes[0][1], codec=DAG_PB)
    pieces = backend.cat(whole.cid)
    assert await anext(pieces) == first[1]
    with pytest.raises(ContentMissing):
        await anext(pieces)


async def test_bad_nodes_are_refused_by_name(backend: Backend) -> None:
    strange = node(b"\xff\xff")
    try:
        await backend.block_put(strange[1], codec=DAG_PB)
    except ContentError:
        return  # refused at once
    with pytest.raises(UnsupportedDag):
        await read(backend.cat(strange[0]))


async def test_many_at_once(adder: Backend) -> None:
    async def round_trip(data: bytes) -> bool:
        cid = await adder.add_bytes(data, pin=False)
        return await read(adder.cat(cid)) == data

    assert all(await asyncio.gather(*(round_trip(os.urandom(1000 + each)) for each in range(8))))


async def test_a_reader_may_ask_for_more_while_it_reads_and_may_stop(backend: Backend) -> None:
    files = {"f": os.urandom(3 * MIB)}
    car = source_of(files)
    await backend.dag_import(car)
    async with aclosing(cast(Any, backend.cat(car.tree.files["f"].cid))) as pieces:
        async for piece in pieces:
            assert await backend.has(Cid.of_block(RAW, piece))
            break
    assert (await backend.probe()).usable


async def test_a_stream_that_is_cut_is_an_error_and_nothing_hangs_after_it(backend: Backend) -> None:
    files = {"f": os.urandom(2 * MIB + 9)}
    _, car = make_car(files)
    short = CarSource(make_tree(files), len(car), lambda: in_chunks(car[: MIB + 4000]))
    with pytest.raises((MalformedCar, BackendUnavailable)):
        await backend.dag_import(short)
    with pytest.raises(ContentMissing):
        await backend.stat(short.tree.root)
    assert (await backend.probe()).usable


async def test_an_import_that_fails_closes_what_it_read(backend: Backend) -> None:
    closed = False

    async def wrong() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            yield b"\x0ano CAR at all"
            for _ in range(256):
                yield bytes(MIB)
        finally:
            closed = True

    with pytest.raises((MalformedCar, BackendUnavailable)):
        await backend.dag_import(CarSource(make_tree({"f": b"x"}), 256 * MIB, wrong))
    assert closed, "it is left to a collection of garbage, which may come in any thread"
    assert (await backend.probe()).usable


async def test_an_import_that_is_given_up_in_the_middle_leaves_a_usable_backend(backend: Backend) -> None:
    files = {"f": os.urandom(2 * MIB + 9)}
    _, car = make_car(files)
    sent, may_end = asyncio.Event(), threading.Event()
    closed = False

    async def stuck() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            yield car[:MIB]
            sent.set()
            await finish_in_thread(may_end.wait, 30)  # as one that reads from a disk
        finally:
            closed = True

    task = asyncio.create_task(backend.dag_import(CarSource(make_tree(files), len(car), stuck)))
    await sent.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.3, may_end.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed, "what it reads from may be closed now"
    assert (await backend.probe()).usable
    whole = source_of(files)
    await backend.dag_import(whole)
    assert (await backend.stat(whole.tree.root)).blocks == 5
