"""What `pinion-ipfs` prints, and to whom: readers that go, full disks, closed streams, names that would move a cursor."""

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.commands import cli
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.content.cid import DAG_PB
from pinion_ipfs.store import Store
from tests.support.cars import car_of, directory, leaf, make_car

PROGRAM = (sys.executable, "-m", "pinion_ipfs")
NAMES = {
    "a\nb": r"a\nb",
    "c\x1b[2Jd": r"c\u001b[2Jd",
    "e\\nf": r"e\\nf",
    "g\u202eh": r"g\u202eh",
    "i\x7f\x9bj": r"i\u007f\u009bj",
    "k\u2028l": r"k\u2028l",
    "模型": "模型",
    "\U0001f469\u200d\U0001f4bb": "\U0001f469\u200d\U0001f4bb",
}
NAMED = directory(*((name, leaf(b"x")) for name in sorted(NAMES, key=str.encode)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that has the directory of names."""
    path = tmp_path_factory.mktemp("home")
    asyncio.run(HfCache("store", Store(path)).block_put(NAMED[1], codec=DAG_PB))
    return path


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HF_HOME": str(home)}


def test_names_of_a_directory(environment: dict[str, str]) -> None:
    told = subprocess.run([*PROGRAM, "ls", str(NAMED[0])], env=environment, capture_output=True, timeout=60, check=True).stdout
    shown = [line.split("  ")[-1] for line in told.decode().split("\n")[:-1]]
    assert shown == [NAMES[name] for name in sorted(NAMES, key=str.encode)]
    told = subprocess.run(
        [*PROGRAM, "ls", "--json", str(NAMED[0])], env=environment, capture_output=True, timeout=60, check=True
    ).stdout
    assert [entry["name"] for entry in json.loads(told)] == sorted(NAMES, key=str.encode)


def test_names_on_a_terminal_of_another_encoding(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    try:
        command = [*PROGRAM, "ls", str(NAMED[0])]
        subprocess.run(command, env=environment | {"PYTHONIOENCODING": "latin-1"}, stdout=theirs, timeout=60, check=True)
        told = b""
        while told.count(b"\r\n") < len(NAMES) and select.select([ours], [], [], 60)[0]:
            told += os.read(ours, 65536)  # as much as the terminal has by now
    finally:
        os.close(ours)
        os.close(theirs)
    assert told.count(b"\r\n") == len(NAMES)
    assert b"\x1b" not in told
    assert rb"\u6a21\u578b" in told


@pytest.mark.parametrize("name", [name for name in NAMES if NAMES[name] != name])
def test_names_in_errors(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = directory((name, directory(("..", leaf(b"x")))))
    (tmp_path / "x.car").write_bytes(car_of(bad[0], bad, directory(("..", leaf(b"x")))))
    strange = tmp_path / name
    for words, code in (
        (["verify", str(tmp_path / "x.car")], ExitCode.UNSUPPORTED),
        (["verify", str(strange)], ExitCode.NOT_FOUND),
        (["add", "--only-hash", str(strange)], ExitCode.NOT_FOUND),
        (["export", str(strange), "-o", str(tmp_path / "out")], ExitCode.NOT_FOUND),
        (["import", str(tmp_path / "x.car"), str(strange / "below")], ExitCode.NOT_FOUND),
    ):
        assert cli.main(words) == code
        assert len(told := capsys.readouterr().err.splitlines()) == 1
        assert told[0].isprintable()
    assert cli.main(["verify", "--json", str(strange)]) == ExitCode.NOT_FOUND
    assert name in json.loads(capsys.readouterr().out)["message"]
    with pytest.raises(SystemExit):
        cli.main(["verify", "x.car", "--root", name])
    assert "argument --root" in (told := capsys.readouterr().err.splitlines())[-1]
    assert all(line.isprintable() for line in told)


def test_a_target_with_the_longest_and_strangest_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, car = make_car({"a": b"b"})
    (tmp_path / "x.car").write_bytes(car)
    target = tmp_path / ("\n" + "x" * 254)
    assert cli.main(["import", str(tmp_path / "x.car"), str(target)]) == 0
    assert (target / "a").read_bytes() == b"b"
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert cli.main(["export", str(target), "-o", str(tmp_path / ("y" * 255))]) == 0
    assert (tmp_path / ("y" * 255)).read_bytes() == car


def run(words: list[str], environment: dict[str, str], stdout: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *words], env=environment, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False)


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "ls": lambda folder: ["ls", str(NAMED[0])],
    "ls --json": lambda folder: ["ls", "--json", str(NAMED[0])],
    "cat": lambda folder: ["cat", str(NAMED[0])],
    "add": lambda folder: ["add", "--only-hash", str(folder)],
    "export": lambda folder: ["export", str(folder)],
    "verify": lambda folder: ["verify", str(folder / "x.car")],
}
WITH_OUTPUT = [name for name in COMMANDS if name != "cat"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x.car").write_bytes(make_car({"a": b"b"})[1])
    return tmp_path


@pytest.mark.parametrize("command", WITH_OUTPUT)
def test_a_reader_that_has_gone(command: str, environment: dict[str, str], folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = run(COMMANDS[command](folder), environment, write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("command", WITH_OUTPUT)
def test_a_full_disk_behind_the_output(command: str, environment: dict[str, str], folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(COMMANDS[command](folder), environment, full.fileno())
    assert (done.returncode, done.stderr) == (ExitCode.STORAGE, b"pinion-ipfs: OSError: No space left on device\n")


@pytest.mark.parametrize("command", ["ls", "export"])
def test_closed_streams(command: str, environment: dict[str, str], folder: Path) -> None:
    words = " ".join(COMMANDS[command](folder))
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m pinion_ipfs {words} >&-"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"pinion-ipfs: OSError: Bad file descriptor\n"


def test_a_closed_input(environment: dict[str, str]) -> None:
    script = f"{sys.executable} -m pinion_ipfs verify - <&-"
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"pinion-ipfs: OSError: Bad file descriptor\n")


def test_a_closed_error_stream_is_no_output(folder: Path, environment: dict[str, str]) -> None:
    script = f"{sys.executable} -m pinion_ipfs export {folder} 2>&-"
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, timeout=60, check=False)
    (folder / "y.car").write_bytes(done.stdout)
    assert done.returncode == 0
    assert cli.main(["verify", str(folder / "y.car")]) == 0


def test_devices_and_links_as_output_stay_what_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"b")
    os.mkfifo(tmp_path / "fifo")
    assert cli.main(["export", str(tmp_path / "a"), "-o", "/dev/null"]) == 0
    assert not Path("/dev/null").is_file()
    with subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE) as reader:
        assert cli.main(["export", str(tmp_path / "a"), "-o", str(tmp_path / "fifo")]) == 0
        assert reader.stdout is not None
        car = reader.stdout.read()
    (tmp_path / "link").symlink_to("behind.car")
    assert cli.main(["export", str(tmp_path / "a"), "-o", str(tmp_path / "link")]) == 0
    assert (tmp_path / "behind.car").read_bytes() == car
    assert (tmp_path / "link").is_symlink()
    capsys.readouterr()
    for output, code, words in (
        (tmp_path, ExitCode.FAILED, "Is a directory"),
        (tmp_path / "no/such", ExitCode.NOT_FOUND, "No such file"),
        (tmp_path / "a/b", ExitCode.FAILED, "Not a dir"),
    ):
        assert cli.main(["export", str(tmp_path / "a"), "-o", str(output)]) == code
        assert words in capsys.readouterr().err
