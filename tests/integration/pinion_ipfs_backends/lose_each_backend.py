"""A script as a user writes it, from docs/router-as-a-library.md alone: a model goes into each backend and out again while
that backend is lost, by a kill or by its folder going away, in the middle of a read and of a write.

`python lose_each_backend.py JSON`, which says where a program with its repository and two daemons are, and which folder to use.
It prints a JSON line for each loss, then one with the CID of the last model.
"""

import json
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pinion_ipfs as ipfs

GIVEN = json.loads(sys.argv[1])
FOLDER = pathlib.Path(GIVEN["folder"])
MIB = 1024 * 1024
SPARE = ipfs.HfCache("spare", FOLDER / "spare")


def write_model(name: str) -> pathlib.Path:
    """Make a folder with a model of random weights."""
    model = FOLDER / name
    (model / "below").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "below" / "weights").write_bytes(os.urandom(32 * MIB))
    return model


def children(words: str) -> list[int]:
    """Return the processes that this one has started with these words in their command."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
        if parent == os.getpid() and words in command:
            found.append(int(entry.name))
    return found


def take_away(folder: pathlib.Path) -> None:
    """Put a file where a folder was."""
    folder.rename(folder.with_name(folder.name + "-away"))
    folder.touch()


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def when(condition: Callable[[], object], lose: Callable[[], object], model: pathlib.Path) -> threading.Thread:
    """Lose a backend as soon as it is in the middle of taking a model; until then the last file does not come to it."""
    lost, last = threading.Event(), str(model / "config.json")

    def hold(event: str, arguments: tuple[Any, ...]) -> None:
        # Its address is computed from a bare descriptor, which has no mode: what has one is read for a backend.
        if event == "open" and arguments[1] is not None and str(arguments[0]) == last:
            lost.wait(60)

    def watch() -> None:
        limit = time.monotonic() + 300
        while not condition() and time.monotonic() < limit:
            time.sleep(0.002)
        lose()
        lost.set()

    sys.addaudithook(hold)
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    return watching


def count(folder: pathlib.Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern))


def read_and_lose(name: str, backend: object, lose: Callable[[], object]) -> None:
    """Lose a backend between two pieces of a file, and get the rest from another."""
    data = os.urandom(12 * MIB)
    cid = ipfs.add_bytes(data, backend=backend)
    ipfs.add_bytes(data, backend=SPARE)
    pieces = ipfs.cat_stream(cid, backend=[backend, SPARE])
    got = next(pieces)
    lose()
    tell(name, "read", got + b"".join(pieces) == data)


def write_and_lose(name: str, backend: object, model: pathlib.Path, watching: threading.Thread) -> None:
    """Lose a backend while a model goes into it: another takes it whole."""
    cid = ipfs.add_path(model, backend=[backend, SPARE])
    watching.join()
    (receipt,) = ipfs.get_last_receipts()
    ipfs.get_to_path(cid, output_path=FOLDER / f"{name}-copy", backend=[backend, SPARE])
    same = all(
        (FOLDER / f"{name}-copy" / path).read_bytes() == (model / path).read_bytes()
        for path in ("config.json", "below/weights")
    )
    tell(name, "write", same and cid in ipfs.pin_ls(backend=SPARE), receipt)


def tell(name: str, what: str, right: bool, receipt: ipfs.Receipt | None = None) -> None:
    if receipt is None:
        (receipt,) = ipfs.get_last_receipts()
    attempts = [[attempt.backend, attempt.error] for attempt in receipt.attempts]
    told = {"lost": name, "in": what, "right": right, "by": receipt.backend, "attempts": attempts}
    print(json.dumps(told | {"replicas": [[each.backend, each.done] for each in receipt.replicas]}), flush=True)


# The cache: its folder goes away.
read_and_lose("hf_cache", ipfs.HfCache("hf_cache", FOLDER / "read"), lambda: take_away(FOLDER / "read" / "pinion"))
blocks, model = FOLDER / "write" / "pinion" / "blocks", write_model("model-of-cache")
lost = when(lambda: count(blocks, "b*") > 2, lambda: take_away(FOLDER / "write" / "pinion"), model)
write_and_lose("hf_cache", ipfs.HfCache("hf_cache", FOLDER / "write"), model, lost)

# The program: its process is killed in a write, and what it reads goes away.
repository = pathlib.Path(GIVEN["repository"])
program = ipfs.KuboCli("kubo_cli", GIVEN["program"], repository=repository)
model = write_model("model-of-program")
lost = when(lambda: children("dag import"), lambda: kill(children("dag import")), model)
write_and_lose("kubo_cli", program, model, lost)
read_and_lose("kubo_cli", program, lambda: take_away(repository))

# The daemon is killed in a read; another one, as soon as a first block of a model has come to its disk.
first, second = GIVEN["daemons"]
read_and_lose("kubo_rpc", ipfs.KuboRpc("kubo_rpc", first["api"]), lambda: kill([first["pid"]]))
stored, model = pathlib.Path(second["blocks"]), write_model("model-of-daemon")
before = count(stored, "*/*.data")
lost = when(lambda: count(stored, "*/*.data") > before, lambda: kill([second["pid"]]), model)
write_and_lose("kubo_rpc", ipfs.KuboRpc("kubo_rpc", second["api"]), model, lost)
print(json.dumps({"cid": ipfs.add_path(model, backend=SPARE), "model": str(model)}))
