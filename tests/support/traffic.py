"""A client inside the cluster that asks a Service without a pause, each time on a new connection and without a second try."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devcluster.kubectl import KubectlError
from tests.support.client_pods import client_pod
from tests.support.cluster import Cluster, wait_until

_STREAMS = 4  # at a time

_CLIENT = """
import collections, json, signal, sys, threading, time, urllib.error, urllib.request
url, model, key, streams = sys.argv[1:]
headers = {"Content-Type": "application/json", "Connection": "close", **({"Authorization": "Bearer " + key} if key else {})}
going, answered, failures = True, [], []  # two lists that every thread appends to, which is one step
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGINT, stop)
started = time.monotonic()
def failed(at, what):
    failures.append([at, "%s, after %.2f s" % (what, time.monotonic() - started - at)])
def said(error):
    try:
        return error.read(200).decode(errors="replace")
    except Exception as worse:  # it would end the thread, and nobody would be told
        return "%s: %s" % (type(worse).__name__, worse)
def ask(number):
    asks = {"input": "is anybody there?"}
    if streams:
        messages = [{"role": "user", "content": "is anybody there?"}]
        asks = {"messages": messages, "temperature": 0, "stream": True, "ignore_eos": True}
        asks["max_tokens"] = 200 - 30 * number  # those of one length would go on together, from their beginnings to their ends
    body = json.dumps({"model": model, **asks}).encode()
    path = "/v1/chat/completions" if streams else "/v1/embeddings"
    while going:
        request = urllib.request.Request(url + path, body, headers)
        at = round(time.monotonic() - started, 2)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answered.append(answer.headers["x-model-cid"])
                if streams:
                    events = answer.read().decode().split("\\n\\n")
                    if events[-2:] != ["data: [DONE]", ""] or '"finish_reason":"length"' not in events[-3]:
                        failed(at, "a stream that ends with %s" % events[-3:])
                else:
                    vector = json.load(answer)["data"][0]["embedding"]
                    if len(vector) != 384:
                        failed(at, "a vector of %d" % len(vector))
        except urllib.error.HTTPError as error:
            failed(at, "HTTP %d: %s" % (error.code, said(error)))
        except Exception as error:
            last = getattr(error, "partial", b"")[-200:]  # of a stream that broke off: its last event may say why
            failed(at, "%s: %s %s" % (type(error).__name__, error, last.decode(errors="replace")))
        time.sleep(0.02)
others = [threading.Thread(target=ask, args=[number]) for number in range(1, int(streams or 1))]
print("asking", flush=True)
for other in others:
    other.start()
ask(0)
for other in others:
    other.join()
failures.sort()
print(json.dumps({"answered": collections.Counter(answered), "failures": failures[:50], "failed": len(failures)}), flush=True)
"""


@dataclass
class Report:
    """What the client has seen; filled when it has ended."""

    answered: dict[str, int] = field(default_factory=dict)  # answers by the CID in their header
    failures: list[tuple[float, str]] = field(default_factory=list)  # seconds until it was asked, what was wrong; the first 50
    failed: int = 0


@contextmanager
def traffic(cluster: Cluster, namespace: str, model: str, key: str = "", *, streams: bool = False) -> Iterator[Report]:
    """Ask a model's Service while the block runs, from its first answer on, with a `key` of a client if there is one.

    For one vector after the other or, with `streams`, for answers of 110 to 200 tokens in pieces, four at a time. The report
    is filled afterwards.
    """
    # By address: the cluster's one DNS server is not what is tried here.
    address = cluster.get("service", model, namespace)["spec"]["clusterIP"]
    name, report = f"traffic-{time.monotonic_ns() % 10**9}", Report()
    cluster.apply(
        client_pod(cluster, name, ["python", "-c", _CLIENT, f"http://{address}", model, key, str(_STREAMS) if streams else ""]),
        namespace,
    )
    try:
        cluster.kubectl("wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=120s")
        wait_until("request", lambda: "asking" in cluster.kubectl("logs", "-n", namespace, name), timeout=60)
        yield report
        wait_until("way into the client's pod", lambda: _told_to_end(cluster, namespace, name), timeout=60)
        cluster.kubectl("wait", "-n", namespace, f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        said = json.loads(cluster.kubectl("logs", "-n", namespace, name).splitlines()[-1])
        report.answered, report.failed = said["answered"], said["failed"]
        report.failures = [(at, what) for at, what in said["failures"]]
    finally:
        cluster.kubectl("delete", "pod", "-n", namespace, name, "--wait=false", "--grace-period=0", "--force")


def _told_to_end(cluster: Cluster, namespace: str, name: str) -> bool:
    """Send the client a SIGINT.

    A kubelet that has just started knows none of its pods yet; a client may have ended before its kubelet says so.
    """
    try:
        cluster.kubectl("exec", "-n", namespace, name, "--", "python", "-c", "import os; os.kill(1, 2)")
    except KubectlError:
        return bool(cluster.get("pod", name, namespace)["status"]["phase"] == "Succeeded")
    return True
