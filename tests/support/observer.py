"""Asks all the time whether what a status claims is true: Ready=True, and a request is refused, or answered by other bytes."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support.administrator import administrator

Json = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """What a status says at one moment."""

    ready: bool
    since: str = ""  # when Ready became what it is: a claim that went and came back is another one
    cids: frozenset[str] = frozenset()  # that are served, says the status


@dataclass(frozen=True)
class Answer:
    """What became of one request; `asked` False: nobody was there to ask, and nothing was claimed of anybody."""

    cid: str = ""  # of the bytes that answered
    refused: str = ""  # why there was no answer
    where: str = ""
    asked: bool = True


@dataclass(frozen=True)
class Moment:
    """One moment at which the status was wrong."""

    at: float  # seconds since the observer began
    what: str


@dataclass
class Observer:
    """A thread that looks, asks and looks again; a claim counts only when it stood before and after the request."""

    look: Callable[[], Claim]
    ask: Callable[[], Answer]
    pause: float = 0.02  # seconds
    moments: list[Moment] = field(default_factory=list)
    looks: int = 0
    asked: int = 0
    claimed: int = 0  # requests while Ready=True stood

    def __enter__(self) -> Self:
        self._stop, self._began, self._error = threading.Event(), time.monotonic(), list[BaseException]()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the observer hangs"
        if self._error:
            raise self._error[0]

    def check(self, at_least: int = 1) -> None:
        """Fail when there was a wrong moment, or when less was asked under a claim than shows anything."""
        assert not self.moments, f"{len(self.moments)} wrong moments, the first: {self.moments[:5]}"
        assert self.claimed >= at_least, f"only {self.claimed} of {self.asked} requests met Ready=True"

    def _run(self) -> None:
        try:
            before = self._look()
            while not self._stop.wait(self.pause):
                answer = self.ask()
                after = self._look()
                self._judge(before, answer, after)
                before = after
        except BaseException as error:  # shown by the test that waits for us
            self._error.append(error)

    def _look(self) -> Claim:
        self.looks += 1
        return self.look()

    def _judge(self, before: Claim, answer: Answer, after: Claim) -> None:
        if not answer.asked:
            return
        self.asked += 1
        if not (before.ready and after.ready and before.since == after.since):
            return
        self.claimed += 1
        at = time.monotonic() - self._began
        if answer.refused:
            self.moments.append(Moment(at, f"Ready=True since {before.since}, and {answer.where} refused: {answer.refused}"))
        elif answer.cid not in before.cids | after.cids:
            said = ", ".join(sorted(before.cids | after.cids)) or "nothing"
            self.moments.append(Moment(at, f"{answer.where} answered with {answer.cid or 'no CID'}, status says {said}"))


class ApiReader:
    """Reads objects with the administrator's certificate over one connection: a kubectl for each look would be too slow."""

    def __init__(self, kubeconfig: Path) -> None:
        server, self._tls = administrator(kubeconfig)
        self._server = urllib.parse.urlsplit(server)
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str) -> Json | None:
        """Return an object or a list, None when there is none or the API server does not answer."""
        if self._connection is None:
            host, port = str(self._server.hostname), self._server.port
            self._connection = http.client.HTTPSConnection(host, port, timeout=10, context=self._tls)
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return dict(json.loads(data)) if answer.status == 200 else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@dataclass
class ModelPods:
    """Looks at one ModelDeployment, and asks its Ready pods in turn for an embedding."""

    reader: ApiReader
    namespace: str
    name: str
    turn: int = 0

    def look(self) -> Claim:
        path = f"/apis/pinion.dev/v1alpha1/namespaces/{self.namespace}/modeldeployments/{self.name}"
        obj = self.reader.get(path)
        return read_claim(obj) if obj else Claim(ready=False)

    def ask(self) -> Answer:
        pods = self._ready()
        if not pods:
            return Answer(asked=False)
        self.turn += 1
        name, address = sorted(pods.items())[self.turn % len(pods)]
        answer = ask_embedding(f"http://{address}:8080", self.name)
        if answer.refused and self._ready().get(name) != address:
            return Answer(asked=False)  # no Service would have led there any more
        return answer

    def _ready(self) -> dict[str, str]:
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=pinion.dev/deployment%3D{self.name}"
        items = (self.reader.get(path) or {}).get("items") or []
        return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in items if _takes_traffic(pod)}


def read_claim(obj: Json) -> Claim:
    """Return what a ModelDeployment claims; a status about an older generation claims nothing of this one."""
    status = obj.get("status", {})
    ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
    serves = ready.get("status") == "True" and ready.get("reason") == "Serving"
    about_this = status.get("observedGeneration") == obj["metadata"]["generation"]
    cids = frozenset(one["cid"] for one in status.get("serving", []))
    return Claim(serves and about_this, ready.get("lastTransitionTime", ""), cids)


def ask_embedding(url: str, model: str, timeout: float = 30.0) -> Answer:
    """Ask once on a new connection; the CID is what the answer itself names."""
    body = json.dumps({"model": model, "input": "is it true?"}).encode()
    request = urllib.request.Request(f"{url}/v1/embeddings", body, {"Content-Type": "application/json", "Connection": "close"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            vector = json.load(answer)["data"][0]["embedding"]
            if not any(vector):
                return Answer(refused="an empty vector", where=url)
            return Answer(cid=answer.headers.get("x-model-cid", ""), where=url)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(refused=f"HTTP {error.code}", where=url)
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        return Answer(refused=f"{type(error).__name__}: {error}", where=url)


def _takes_traffic(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"] and bool(pod["status"].get("podIP"))
