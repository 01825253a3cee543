"""The downloads of one job: staged by huggingface_hub, hashed, compared with what the hub announced, moved into the store."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from huggingface_hub import hf_hub_download, set_client_factory

from ..errors import DigestMismatch, DownloadFailed, DownloadStalled
from ..hub import default_endpoint, map_hub_error
from ..listing import HubFile
from ..store import Store
from ..store.blobs import hash_blob
from .job import OriginJob

_REPORT_SECONDS = 0.2
_TIMEOUT = httpx2.Timeout(30.0)


class Downloads:
    """Runs a job; `send(kind, **values)` reports `bytes`, `file` and nothing secret."""

    def __init__(self, job: OriginJob, send: Callable[..., None]) -> None:
        self._job = job
        self._send = send
        self._store = Store(job.hf_home, job.cache_dir)
        self._staging = self._store.staging / "origin"
        self._endpoint = default_endpoint(job.endpoint)
        self._counter = Counter(send)

    def run(self) -> None:
        """Bring every file into the store, several at a time; raise the first error at once: the process ends then."""
        self._store.prepare()
        set_client_factory(lambda: CountingClient(self._counter))
        pool = concurrent.futures.ThreadPoolExecutor(self._job.workers)
        # Large files first: the small ones fill the gaps.
        futures = [pool.submit(self._bring, file) for file in sorted(self._job.files, key=lambda file: -file.size)]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _bring(self, file: HubFile) -> None:
        job = self._job
        try:
            # A file that an earlier, killed run staged whole is returned at once, and hashed like any other.
            staged = hf_hub_download(
                str(job.repo),
                file.path,
                revision=str(job.commit),
                endpoint=self._endpoint,
                cache_dir=self._staging,
                token=job.token or False,
                tqdm_class=self._counter.bar(),  # documented: a tqdm, "or at least mimic its behavior"
            )
        except Exception as error:
            if isinstance(error, httpx2.ReadTimeout):
                raise DownloadStalled(
                    f"{job.repo}/{file.path} at {self._endpoint}: no byte for {_TIMEOUT.read:.0f} s"
                ) from error
            raise map_hub_error(error, f"{job.repo}/{file.path}@{job.commit}", self._endpoint) from error
        link = Path(staged)
        blob = link.resolve()
        try:
            record = hash_blob(blob, file, self._endpoint, lambda count: self._counter.alive())
        except DigestMismatch:
            link.unlink(missing_ok=True)
            blob.unlink(missing_ok=True)
            raise
        except FileNotFoundError as error:
            if self._store.record(job.repo, file) is None:
                raise DownloadFailed(f"{job.repo}/{file.path}: the staged file was taken away") from error
            self._send("file", path=file.path, size=file.size)  # another process had the same job and was faster
            return
        # The same content under two paths is one blob: the second finds it in the store.
        if self._store.record(job.repo, file) is None:
            self._store.publish(job.repo, file, blob, record)
        link.unlink(missing_ok=True)
        self._send("file", path=file.path, size=file.size)


class Counter:
    """Counts what arrives, on the wire and as the library reports it, and tells the parent a few times a second."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._wire = 0
        self._reported = 0
        self._sent_at = 0.0

    def on_wire(self, count: int) -> None:
        """Take bytes of a response body."""
        with self._lock:
            self._wire += count
        self.alive()

    def on_report(self, count: int) -> None:
        """Take bytes that a progress bar was told of; Xet's own transfers are seen only here."""
        with self._lock:
            self._reported += count
        self.alive()

    def alive(self) -> None:
        """Tell the parent where we are, unless that was just done."""
        now = time.monotonic()
        with self._lock:
            if now - self._sent_at < _REPORT_SECONDS:
                return
            self._sent_at = now
            received = max(self._wire, self._reported)
        self._send("bytes", received=received)

    def bar(self) -> type["_Bar"]:
        """Return a class that huggingface_hub uses as a progress bar."""
        counter = self

        class CountingBar(_Bar):
            def update(self, n: float | None = 1) -> None:
                counter.on_report(int(n or 0))

        return CountingBar


class _Bar:
    """As much of tqdm as the library calls; shows nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.total = kwargs.get("total")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def update(self, n: float | None = 1) -> None:
        """Take progress."""

    def update_transfer(self, n: float | None = 1) -> None:
        """Take progress on the wire, which Xet counts apart."""

    def set_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        """Ignore the caption."""

    def set_transfer_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        """Ignore the caption."""

    def refresh(self) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """Release nothing."""


class CountingClient(httpx2.Client):
    """The library's HTTP client, with a timeout (its own has none) and a count of body bytes as they arrive."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(follow_redirects=True, timeout=_TIMEOUT)
        self._counter = counter

    def send(self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any) -> httpx2.Response:
        """Send as usual; bodies that are streamed are counted."""
        response = super().send(request, stream=stream, **kwargs)
        if stream and isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _CountedStream(response.stream, self._counter)
        return response


class _CountedStream(httpx2.SyncByteStream):
    """Passes chunks through and counts them."""

    def __init__(self, inner: httpx2.SyncByteStream, counter: Counter) -> None:
        self._inner = inner
        self._counter = counter

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._counter.on_wire(len(chunk))
            yield chunk

    def close(self) -> None:
        """Close the connection's stream."""
        self._inner.close()
