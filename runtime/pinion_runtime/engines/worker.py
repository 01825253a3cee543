"""The engine process, `python -m pinion_runtime.engines.worker FD PARENT_PID`: loads one model, then computes batches."""

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from pathlib import Path
from select import select

from ..errors import EngineError, EngineLoadError, EngineOutOfMemory
from .cpus import available_cpus
from .frames import HEADER_BYTES, encode_frame, frame_length, to_engine
from .protocol import (
    Batch,
    Cancel,
    Done,
    Failure,
    FromEngine,
    Heartbeat,
    Load,
    Loaded,
    LoadFailed,
    MemoryUse,
    Shutdown,
    ToEngine,
)
from .resident import Trim, do_without_unused_packages, imports, settle
from .transformers.batches import BatchRun

HEARTBEAT_SECONDS = 1.0
# Padded tokens of one forward pass: more gives a CPU nothing, and activations grow with it. A single text may be longer.
MAX_GROUP_TOKENS = 8192
_PR_SET_PDEATHSIG = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Channel:
    """The engine's end of the socket; sending is safe from two threads, receiving belongs to the main thread."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._lock = threading.Lock()

    def send(self, message: FromEngine) -> None:
        """Send, or end the process when the front is gone."""
        frame = encode_frame(message)
        try:
            with self._lock:
                self._socket.sendall(frame)
        except OSError:
            _leave()

    def receive(self) -> ToEngine:
        """Wait for a message; end the process when the front is gone."""
        message: ToEngine = to_engine.decode(self._read(frame_length(self._read(HEADER_BYTES))))
        return message

    def ready(self, seconds: float | None = 0.0) -> bool:
        """Tell whether `receive` would not wait, now or within `seconds`; None: wait until it is so."""
        return bool(select([self._socket], [], [], seconds)[0])

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view, have = memoryview(data), 0
        while have < size:
            try:
                got = self._socket.recv_into(view[have:])
            except OSError:
                got = 0
            if not got:
                _leave()
            have += got
        return data


class Work:
    """Messages that have arrived: batches in order, and the requests nobody waits for."""

    def __init__(self, channel: Channel, trim: Trim) -> None:
        self._channel = channel
        self._trim = trim
        self._batches: deque[Batch] = deque()
        self._cancelled: set[int] = set()
        self._stopping = False

    def next(self) -> Batch | None:
        """Wait for a batch; None = the front wants no more."""
        while not self._batches and not self._stopping:
            if self._channel.ready(self._trim.seconds_left()):
                self._take(self._channel.receive())
            else:
                self._trim.perhaps()
        if not self._batches:
            return None
        return self._batches.popleft()

    def cancelled(self) -> set[int]:
        """Return the cancelled requests, those included whose message has only now arrived."""
        while self._channel.ready():
            self._take(self._channel.receive())
        return self._cancelled

    def forget(self) -> None:
        """Forget cancellations once no batch is left that could hold one of them."""
        if not self._batches:
            self._cancelled.clear()

    def _take(self, message: ToEngine) -> None:
        match message:
            case Batch():
                self._batches.append(message)
            case Cancel():
                self._cancelled.update(message.keys)
            case Shutdown():
                self._stopping = True
            case Load():
                raise RuntimeError("a second Load arrived: an engine process loads one model")


def measure_memory(device_bytes: int = 0) -> MemoryUse:
    """Read what this process holds now."""
    fields = Path("/proc/self/statm").read_text().split()
    return MemoryUse(int(fields[1]) * _PAGE, int(fields[2]) * _PAGE, device_bytes)


def main() -> None:
    """Load and serve; exit 0 after Shutdown or when the front is gone, 1 when the model can't be loaded."""
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the front decides when we end
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl
        _leave()
    channel = Channel(fd)
    threading.Thread(target=_beat, args=(channel,), daemon=True).start()
    load = channel.receive()
    if not isinstance(load, Load):
        raise TypeError(f"the first message was {type(load).__name__}, not Load")
    try:
        _serve(channel, load)
    except EngineError as error:
        channel.send(LoadFailed(Failure.of(error)))
        sys.exit(1)
    _leave()


def _serve(channel: Channel, load: Load) -> None:
    """Load, then compute until the front wants no more; raise EngineLoadError."""
    threads = load.spec.threads or available_cpus()
    do_without_unused_packages()
    try:
        with imports():
            from .transformers.encoder import TransformersEncoder, configure_torch, is_out_of_memory
    except ImportError as error:
        raise EngineLoadError(f"the engine's libraries can't be imported: {error}") from error
    try:
        configure_torch(threads)
        encoder = TransformersEncoder(load.spec)
    except EngineError:
        raise
    except Exception as error:
        kind = EngineOutOfMemory if is_out_of_memory(error) else EngineLoadError
        raise kind(f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}") from error
    settle()
    channel.send(Loaded(encoder.capabilities, encoder.tokenizer, load.spec.credits, measure_memory(encoder.device_bytes())))
    trim = Trim()
    work = Work(channel, trim)
    while (batch := work.next()) is not None:
        started = time.monotonic()
        run = BatchRun(
            batch, encoder, cancelled=work.cancelled, out_of_memory=is_out_of_memory, max_group_tokens=MAX_GROUP_TOKENS
        )
        outcomes = run.run()
        seconds = time.monotonic() - started
        channel.send(Done(batch.number, outcomes, seconds, run.padded_tokens, measure_memory(encoder.device_bytes())))
        work.forget()
        trim.after_work()


def _beat(channel: Channel) -> None:
    while True:
        channel.send(Heartbeat(measure_memory()))
        time.sleep(HEARTBEAT_SECONDS)


def _leave() -> None:
    """End at once: nobody is left to talk to, and neither a compute thread nor the end of torch may hold us up."""
    os._exit(0)


if __name__ == "__main__":
    main()
