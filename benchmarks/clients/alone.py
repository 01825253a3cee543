"""Vectors of sentence-transformers without a server, in a process of its own: `python -m benchmarks.clients.alone MODEL`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

_SECONDS = 1800


def compute_alone(model: Path, texts: list[str]) -> tuple[list[list[float]], float]:
    """Return the vectors of texts, and the seconds that computing them took with the model loaded."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, model],
        input=json.dumps(texts),
        stdout=subprocess.PIPE,
        text=True,
        timeout=_SECONDS,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    vectors, seconds = json.loads(done.stdout)
    return vectors, seconds


def main() -> None:
    """Read texts as JSON from the input; print vectors and seconds as JSON."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(sys.argv[1], device="cpu")
    model.encode(["warm"])
    texts = json.load(sys.stdin)
    started = time.monotonic()
    vectors = model.encode(texts, show_progress_bar=False)
    print(json.dumps([vectors.tolist(), time.monotonic() - started]))


if __name__ == "__main__":
    main()
