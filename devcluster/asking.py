"""An embeddings request through a Service, as a user at the keyboard would make it."""

import contextlib
import json
import math
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence

from .errors import DevClusterError
from .kubectl import Kubectl
from .provider import Cluster


class PortForwardError(DevClusterError):
    """`kubectl port-forward` ended before it listened; the message holds its own words."""


@contextlib.contextmanager
def forwarded(cluster: Cluster, namespace: str, target: str, port: int) -> Iterator[str]:
    """Forward a port of a Service or pod to loopback for the block; gives the local URL."""
    command = Kubectl(cluster.kubeconfig).command("port-forward", f"--namespace={namespace}", target, f":{port}")
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None  # asked for above
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found is None:
                raise PortForwardError(f"`kubectl port-forward {target}` failed: {line}{process.stdout.read()}")
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()


def embed(url: str, model: str, texts: Sequence[str], *, timeout: float = 60) -> tuple[list[list[float]], float]:
    """Ask `/v1/embeddings` and return the vectors, with the seconds the answer took."""
    body = json.dumps({"model": model, "input": list(texts)}).encode()
    request = urllib.request.Request(f"{url}/v1/embeddings", body, {"Content-Type": "application/json"})
    started = time.monotonic()
    with urllib.request.urlopen(request, timeout=timeout) as response:
        answer = json.load(response)
    return [item["embedding"] for item in answer["data"]], time.monotonic() - started


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the cosine of the angle between two vectors."""
    dot = sum(a * b for a, b in zip(left, right, strict=True))
    return dot / (math.hypot(*left) * math.hypot(*right))
