"""A signal ends `pinion-ipfs` at once and in silence, whatever it waits for, and nothing half written stays."""

import asyncio
import os
import pty
import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.cid import DAG_PB, RAW
from pinion_ipfs.store import Store
from tests.support.cars import directory, leaf, make_car
from tests.support.held_programs import held_at, looks_for
from tests.support.hub import Hub
from tests.support.process_one import Started, Starter
from tests.support.serve import wait_until

AT_ONCE = 15.0  # seconds; less than anything is waited for: a silent hub for 20
PROGRAM = ("python", "-m", "pinion_ipfs")
TOLD = {"SIGINT": (signal.SIGINT, 130), "SIGTERM": (signal.SIGTERM, 143), "SIGHUP": (signal.SIGHUP, 129)}
TWO = dict(list(TOLD.items())[:2])
LEAF, ABSENT = leaf(os.urandom(1024 * 1024)), leaf(b"absent")
ROOT = directory(("a", LEAF), ("b", ABSENT))

told = pytest.mark.parametrize(("number", "code"), TOLD.values(), ids=TOLD.keys())
told_twice = pytest.mark.parametrize(("number", "code"), TWO.values(), ids=TWO.keys())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that has a directory and the first of its two files."""
    path = tmp_path_factory.mktemp("home")
    cache = HfCache("store", Store(path))

    async def fill() -> None:
        await cache.block_put(LEAF[1], codec=RAW)
        await cache.block_put(ROOT[1], codec=DAG_PB)

    asyncio.run(fill())
    return path


@contextmanager
def silent_server() -> Iterator[tuple[str, socket.socket]]:
    """Yield the URL of a server that takes requests and answers none, and its socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield f"http://127.0.0.1:{server.getsockname()[1]}", server


def asked(server: socket.socket, path: bytes) -> socket.socket:
    """Return the connection of the first request, which must be for `path`."""
    connection, _ = server.accept()
    connection.settimeout(60)
    assert path in connection.recv(4096)
    return connection


def assert_ends(command: Started, number: signal.Signals, code: int) -> None:
    ended = command.end(number)
    assert (ended.code, command.output()) == (code, "")
    assert ended.seconds < AT_ONCE


def waits(command: Started, *functions: str) -> bool:
    """Tell whether one of its threads sleeps in one of these functions of the kernel."""
    return any((task / "wchan").read_text() in functions for task in Path(f"/proc/{command.pid}/task").iterdir())


def opens_a_fifo(command: Started) -> bool:
    return waits(command, "wait_for_partner")


def reads_a_terminal(command: Started) -> bool:
    return waits(command, "n_tty_read", "wait_woken")


@contextmanager
def full_pipe() -> Iterator[tuple[int, Callable[[], bool]]]:
    """Yield the end to write into, of a pipe that nobody reads, and whether it is full."""
    read, write = os.pipe()

    def is_full() -> bool:
        return not select.select([], [write], [], 0)[1]

    try:
        yield write, is_full
    finally:
        os.close(read)
        os.close(write)


@told_twice
def test_while_it_imports(starter: Starter, tmp_path: Path, number: signal.Signals, code: int) -> None:
    words = ("fetch", "org/model", "--endpoint", "http://127.0.0.1:9")
    with held_at(looks_for("pinion_ipfs.commands.cli"), tmp_path / "held") as held:
        command = starter.ordinary(*PROGRAM, *words, environment=held.environment)
        held.wait("the imports")
        assert command.handles(signal.SIGTERM)
        assert_ends(command, number, code)


@told_twice
def test_while_the_hub_is_silent(starter: Starter, tmp_path: Path, number: signal.Signals, code: int) -> None:
    with silent_server() as (url, hub):
        command = starter.ordinary(*PROGRAM, "fetch", "org/model", "--endpoint", url, environment={"HF_HOME": str(tmp_path)})
        with asked(hub, b"/api/models/org/model"):
            assert_ends(command, number, code)


@told_twice
def test_fetch_that_has_half_of_a_file(starter: Starter, hub: Hub, tmp_path: Path, number: signal.Signals, code: int) -> None:
    repo, weights, home = f"interrupted/{number.name.lower()}", "model.safetensors", tmp_path / "hf"
    hub.add_repo(repo, {"config.json": b"{}", weights: os.urandom(2_000_000)})
    hub.order(repo, {"kind": "stall", "on": f"GET {weights}", "at": 0.5})

    command = starter.ordinary(*PROGRAM, "fetch", repo, environment={"HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint})
    wait_until(lambda: weights in hub.repo_stats(repo).get("gets_by_path", {}), 60, "a download")
    children = command.children()
    assert children
    assert_ends(command, number, code)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 60, "the download's process goes")
    assert not list((home / "hub").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "words", [["ls", str(ABSENT[0])], ["cat", str(ABSENT[0])], ["add", __file__]], ids=lambda words: words[0]
)
def test_while_a_daemon_is_silent(starter: Starter, home: Path, words: list[str]) -> None:
    with silent_server() as (url, daemon):
        words = ["ls", str(directory(("x", ABSENT))[0])] if words[0] == "ls" else words
        environment = {"HF_HOME": str(home), "KUBO_API": url}
        command = starter.ordinary(*PROGRAM, *words, environment=environment)
        with asked(daemon, b"/api/v0/"):
            assert_ends(command, signal.SIGINT, 130)


@told_twice
def test_get_that_has_half_of_it(starter: Starter, home: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    target = tmp_path / "below/out"
    target.parent.mkdir()
    with silent_server() as (url, gateway):
        words = ("get", str(ROOT[0]), str(target), "--gateway", url)
        command = starter.ordinary(*PROGRAM, *words, environment={"HF_HOME": str(home)})
        with asked(gateway, str(ABSENT[0]).encode()):
            assert [path.name for path in target.parent.glob(".*/*")] == ["a"]
            assert_ends(command, number, code)
    assert not list(target.parent.iterdir())


@told
def test_import_of_a_pipe_that_says_no_more(starter: Starter, tmp_path: Path, number: signal.Signals, code: int) -> None:
    fifo, target = tmp_path / "fifo", tmp_path / "below/out"
    target.parent.mkdir()
    os.mkfifo(fifo)
    _, car = make_car({"a": LEAF[1], "b": os.urandom(9_000_000)})
    command = starter.ordinary(*PROGRAM, "import", str(fifo), str(target))
    with fifo.open("wb") as writer:
        writer.write(car[:9_000_000])
        writer.flush()
        wait_until(lambda: any(target.parent.glob(".*/a")), 60, "a file")
        assert_ends(command, number, code)
    assert not list(target.parent.iterdir())


@told_twice
def test_export_that_is_under_way(starter: Starter, tmp_path: Path, number: signal.Signals, code: int) -> None:
    source, output = tmp_path / "source", tmp_path / "below/out.car"
    output.parent.mkdir()
    source.mkdir()
    (source / "a").write_bytes(os.urandom(9_000_000))
    (source / "b").write_bytes(b"b")
    # Each file is opened twice: to hash it, and to write it into what is there by then.
    opened = f'event == "open" and str(arguments[0]) == {str(source / "b")!r} and os.listdir({str(output.parent)!r})'
    with held_at(opened, tmp_path / "held") as held:
        command = starter.ordinary(*PROGRAM, "export", str(source), "-o", str(output), environment=held.environment)
        held.wait("the second file is about to be written")
        (partial,) = output.parent.iterdir()
        assert partial.stat().st_size >= 9_000_000 - 1024 * 1024
        assert_ends(command, number, code)
    assert not list(output.parent.iterdir())


@told_twice
@pytest.mark.parametrize("command", ["verify", "import"])
def test_a_fifo_that_nobody_writes(starter: Starter, tmp_path: Path, command: str, number: signal.Signals, code: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    words = (str(tmp_path / "fifo"), *([str(tmp_path / "out")] if command == "import" else []))
    started = starter.ordinary(*PROGRAM, command, *words)
    wait_until(lambda: opens_a_fifo(started), 60, "the open of a FIFO")
    assert_ends(started, number, code)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".log"] == ["fifo"]


@told
def test_verify_of_what_somebody_types(starter: Starter, number: signal.Signals, code: int) -> None:
    ours, theirs = pty.openpty()
    try:
        command = starter.ordinary(*PROGRAM, "verify", "-", stdin=theirs)
        wait_until(lambda: reads_a_terminal(command), 60, "a read of the terminal")
        assert_ends(command, number, code)
    finally:
        os.close(ours)
        os.close(theirs)


@told_twice
@pytest.mark.parametrize("command", ["cat", "export"])
def test_a_reader_that_stands_still(
    starter: Starter, home: Path, tmp_path: Path, command: str, number: signal.Signals, code: int
) -> None:
    (tmp_path / "file").write_bytes(LEAF[1])
    with full_pipe() as (write, is_full):
        what = str(LEAF[0]) if command == "cat" else str(tmp_path / "file")
        started = starter.ordinary(*PROGRAM, command, what, environment={"HF_HOME": str(home)}, stdout=write)
        wait_until(is_full, 60, "a full pipe")
        assert_ends(started, number, code)


def test_ls_whose_reader_stands_still(starter: Starter, tmp_path: Path) -> None:
    cache = HfCache("store", Store(tmp_path))
    many = directory(*((f"{number:0200}", LEAF) for number in range(1000)))
    asyncio.run(cache.block_put(many[1], codec=DAG_PB))
    with full_pipe() as (write, is_full):
        command = starter.ordinary(*PROGRAM, "ls", str(many[0]), environment={"HF_HOME": str(tmp_path)}, stdout=write)
        wait_until(is_full, 60, "a full pipe")
        assert_ends(command, signal.SIGINT, 130)


def test_a_hangup_that_somebody_ignores_ends_nothing(starter: Starter, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    command = starter.ordinary("nohup", *PROGRAM, "verify", str(tmp_path / "fifo"))
    wait_until(lambda: opens_a_fifo(command), 60, "the open of a FIFO")
    command.send(signal.SIGHUP)
    _, car = make_car({"a": b"b"})
    with (tmp_path / "fifo").open("wb") as writer:
        writer.write(car)
    assert command.process.wait(60) == 0
    assert "is whole" in command.output()


def test_a_second_signal_ends_it_as_it_is(starter: Starter, home: Path) -> None:
    with full_pipe() as (write, is_full):
        command = starter.ordinary(*PROGRAM, "cat", str(LEAF[0]), environment={"HF_HOME": str(home)}, stdout=write)
        wait_until(is_full, 60, "a full pipe")
        command.send(signal.SIGINT)
        assert_ends(command, signal.SIGINT, 130)


def test_nothing_waits_for_a_process_that_was_stopped(starter: Starter, home: Path) -> None:
    """Ctrl-Z, then `kill`: the signal counts when it goes on."""
    with silent_server() as (url, daemon):
        environment = {"HF_HOME": str(home), "KUBO_API": url}
        command = starter.ordinary(*PROGRAM, "cat", str(ABSENT[0]), environment=environment)
        with asked(daemon, b"/api/v0/"):
            command.send(signal.SIGSTOP)
            command.send(signal.SIGTERM)
            assert command.end(signal.SIGCONT).code == 143
