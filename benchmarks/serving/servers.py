"""The servers under load, each as its own documentation starts it, float32, on this machine's CPU."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.hubmirror.models import MINILM

from ..processes import BIN, environment_of, free_port, process

PEERS = Path(__file__).parent / "peers"
_OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
_ASK = {"model": MINILM, "input": ["ready?"]}


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers."""

    url: str
    management: str = ""  # of ours: where its metrics are


@contextmanager
def pinion(work: Path) -> Iterator[Endpoint]:
    """Run `pinion-serve`, which takes the model from a hub mirror."""
    hub, port, management = free_port(), free_port(), free_port()
    mirror = [sys.executable, "-m", "devcluster.hubmirror", "--root", work / "hub", "--port", str(hub)]
    serve = [
        BIN / "pinion-serve", MINILM, "--endpoint", f"http://127.0.0.1:{hub}", "--cache-dir", work / "cache",
        "--port", str(port), "--management-port", str(management),
    ]  # fmt: skip
    with process(mirror, f"http://127.0.0.1:{hub}/-/stats"), process(serve, f"http://127.0.0.1:{management}/readyz"):
        yield Endpoint(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{management}")


@contextmanager
def sentence_transformers(work: Path) -> Iterator[Endpoint]:
    """Run sentence-transformers behind uvicorn, what most people start with."""
    port = free_port()
    command = [sys.executable, PEERS / "sentence_transformers_server.py", work / "hub" / MINILM, str(port)]
    with process(command, f"http://127.0.0.1:{port}/", body=_ASK, environment=_OFFLINE):
        yield Endpoint(f"http://127.0.0.1:{port}")


@contextmanager
def mosec(work: Path) -> Iterator[Endpoint]:
    """Run mosec with two workers of one thread and dynamic batches."""
    port, python = free_port(), environment_of("mosec", ["mosec>=0.9,<1", "sentence-transformers>=5,<6"])
    command = [python, PEERS / "mosec_server.py", "--port", str(port)]
    environment = {**_OFFLINE, "MODEL": str(work / "hub" / MINILM), "OMP_NUM_THREADS": "1"}
    with process(command, f"http://127.0.0.1:{port}/v1/embeddings", body=_ASK, environment=environment):
        yield Endpoint(f"http://127.0.0.1:{port}")


@contextmanager
def infinity(work: Path) -> Iterator[Endpoint]:
    """Run infinity with its torch engine."""
    port, python = free_port(), environment_of("infinity", ["infinity-emb[server,torch]>=0.0.77,<0.1", "click<8.2"])
    command = [
        python.parent / "infinity_emb", "v2", "--model-id", work / "hub" / MINILM, "--served-model-name", MINILM,
        "--port", str(port), "--host", "127.0.0.1", "--url-prefix", "/v1",
        "--device", "cpu", "--dtype", "float32", "--no-bettertransformer",
    ]  # fmt: skip
    with process(command, f"http://127.0.0.1:{port}/v1/embeddings", body=_ASK, environment=_OFFLINE):
        yield Endpoint(f"http://127.0.0.1:{port}")
