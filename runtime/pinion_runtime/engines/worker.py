"""The engine process, `python -m pinion_runtime.engines.worker FD PARENT_PID`: loads one model, then computes."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from ..errors import ComputeFailed, EngineError, EngineLoadError, EngineOutOfMemory
from .batch_loop import Run, compute_batches
from .channel import Channel, leave
from .cpus import available_cpus
from .memory import measure_memory
from .protocol import Batch, EngineSpec, Failure, Heartbeat, Load, Loaded, LoadFailed
from .resident import Trim, do_without_unused_packages, imports, settle
from .sequence_loop import SequenceLoop
from .transformers.batches import BatchRun

HEARTBEAT_SECONDS = 1.0
# Padded tokens of one forward pass: more gives a CPU nothing, and activations grow with it. A single text may be longer.
MAX_GROUP_TOKENS = 8192
_PR_SET_PDEATHSIG = 1
_SAID = 1000  # characters of what a library says


def main() -> None:
    """Load and serve; exit 0 after Shutdown or when the front is gone, 1 when the model can't be loaded."""
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the front decides when we end
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl
        leave()
    channel = Channel(fd)
    threading.Thread(target=_beat, args=(channel,), daemon=True).start()
    load = channel.receive()
    if not isinstance(load, Load):
        raise TypeError(f"the first message was {type(load).__name__}, not Load")
    try:
        serve = _load(channel, load.spec)
    except EngineError as error:
        channel.send(LoadFailed(Failure.of(error)))
        sys.exit(1)
    serve()
    leave()


def _load(channel: Channel, spec: EngineSpec) -> Callable[[], None]:
    """Load, and return what computes until the front wants no more; raise EngineLoadError."""
    threads = spec.threads or available_cpus()
    do_without_unused_packages()
    try:
        with imports():
            from .transformers.loading import configure_torch, is_out_of_memory
    except ImportError as error:
        raise EngineLoadError(f"the engine's libraries can't be imported: {error}") from error
    try:
        configure_torch(threads)
        serve = {"feature-extraction": _load_encoder, "text-generation": _load_decoder}[spec.task]
        return serve(channel, spec, is_out_of_memory)
    except EngineError:
        raise
    except Exception as error:
        kind = EngineOutOfMemory if is_out_of_memory(error) else EngineLoadError
        raise kind(_said(error)) from error


def _load_encoder(channel: Channel, spec: EngineSpec, is_out_of_memory: Callable[[BaseException], bool]) -> Callable[[], None]:
    with imports():
        from .transformers.encoder import TransformersEncoder
    encoder = TransformersEncoder(spec)
    settle()
    channel.send(Loaded(encoder.capabilities, encoder.tokenizer, spec.credits, measure_memory(encoder.device_bytes())))

    def begin(batch: Batch, cancelled: Callable[[], set[int]]) -> Run:
        return BatchRun(batch, encoder, cancelled=cancelled, out_of_memory=is_out_of_memory, max_group_tokens=MAX_GROUP_TOKENS)

    return lambda: compute_batches(channel, Trim(), begin, encoder.device_bytes)


def _load_decoder(channel: Channel, spec: EngineSpec, is_out_of_memory: Callable[[BaseException], bool]) -> Callable[[], None]:
    with imports():
        from .transformers.generation.decoder import TransformersDecoder
    decoder = TransformersDecoder(spec)
    settle()
    capabilities = decoder.capabilities
    memory = measure_memory(decoder.device_bytes())
    channel.send(Loaded(capabilities, decoder.tokenizer, capabilities.max_sequences, memory))

    def to_error(error: Exception) -> EngineError:
        kind = EngineOutOfMemory if is_out_of_memory(error) else ComputeFailed
        return kind(_said(error))

    return SequenceLoop(channel, Trim(), decoder, to_error).run


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_SAID]}"


def _beat(channel: Channel) -> None:
    while True:
        channel.send(Heartbeat(measure_memory()))
        time.sleep(HEARTBEAT_SECONDS)


if __name__ == "__main__":
    main()
