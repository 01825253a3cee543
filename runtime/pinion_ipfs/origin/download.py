"""The downloads of one job: staged by huggingface_hub, hashed, compared with what the hub announced, moved into the store."""

import concurrent.futures
import errno
import os
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2
from huggingface_hub import hf_hub_download, set_client_factory

from ..errors import (
    AddressRefused,
    ContentError,
    DigestMismatch,
    DownloadFailed,
    DownloadStalled,
    OriginRateLimited,
    OriginUnreachable,
    StorageFilled,
)
from ..hub.listing import HubFile
from ..hub.revisions import default_endpoint, map_hub_error
from ..net.token_hosts import TokenHosts
from ..store import Store
from ..store.blobs import hash_blob
from ..store.files import closing_umask
from .client import RESET, Head, OriginClient
from .counting import Counter
from .job import OriginJob
from .xet import Xet

_LONGEST_WAIT = 10.0  # seconds between two attempts at one file
_AGAIN = (OriginUnreachable, DownloadFailed, DigestMismatch)  # for these the same request may succeed in a moment
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SIZES = re.compile(r"should be of size (\d+) but has size (\d+)")  # the library's own check of a whole body


class Downloads:
    """Runs a job; `send(kind, **values)` reports `bytes`, `file`, `wrong`, and nothing secret."""

    def __init__(self, job: OriginJob, send: Callable[..., None]) -> None:
        self._job = job
        self._send = send
        self._store = Store(job.hf_home, job.cache_dir)
        self._staging = self._store.staging / "origin"
        self._endpoint = default_endpoint(job.endpoint)
        self._counter = Counter(send)
        self._xet = Xet()

    def run(self) -> None:
        """Bring every file into the store, several at a time.

        After an error nothing new begins; what is under way comes to its end when a later run can go on from there.
        """
        self._store.prepare()
        os.umask(os.umask(0o077) | closing_umask(self._store.staging))  # for folders that the library makes, below ours
        heads = {self._path_of(file): Head.of(file, self._job.commit) for file in self._job.files}
        origins = frozenset(self._job.token_origins)
        hosts = TokenHosts(origins) if origins else TokenHosts.only(self._endpoint)
        set_client_factory(
            lambda: OriginClient(
                self._endpoint,
                hosts,
                heads,
                self._counter,
                self._job.stall_seconds,
                policy=self._job.policy,
                xet=self._xet,
            )
        )
        pool = concurrent.futures.ThreadPoolExecutor(self._job.workers)
        # Large files first: the small ones fill the gaps.
        futures = [pool.submit(self._bring, file) for file in sorted(self._job.files, key=lambda file: -file.size)]
        failure: ContentError | None = None
        for future in concurrent.futures.as_completed(futures):
            if future.cancelled():
                continue
            error = future.exception()
            if isinstance(error, ContentError) and error.retryable:
                failure = failure or error
                for other in futures:
                    other.cancel()
            elif error is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                raise error
        if failure is not None:
            raise failure

    def _bring(self, file: HubFile) -> None:
        """Bring one file; what may pass by itself is tried again a few times, at growing distances."""
        wrong: list[DigestMismatch] = []
        for attempt in range(self._job.attempts):
            try:
                self._download(file)
            except _AGAIN as error:
                if isinstance(error, DigestMismatch):
                    wrong.append(error)
                if attempt + 1 == self._job.attempts:
                    self._tell_wrong(file, wrong)
                    raise
                longest = min(_LONGEST_WAIT, self._job.backoff_seconds * 2**attempt)
                self._counter.wait(random.uniform(longest / 2, longest))
            else:
                self._tell_wrong(file, wrong)
                return

    def _tell_wrong(self, file: HubFile, wrong: Sequence[DigestMismatch]) -> None:
        """Tell of each wrong body; once the right one is here, also which of its blocks was the first wrong one."""
        record = self._store.record(self._job.repo, file) if wrong else None
        right = record.layout.leaves if record is not None else ()
        for error in wrong:
            pairs = enumerate(zip(error.leaves, right, strict=False))
            block = next((index for index, (came, wanted) in pairs if came != wanted), None)
            self._send("wrong", path=file.path, block=block, source=self._endpoint, message=str(error))

    def _download(self, file: HubFile) -> None:
        link = self._stage(file)
        blob = link.resolve()
        try:
            record = hash_blob(blob, file, self._endpoint, lambda count: self._counter.alive())
        except DigestMismatch:
            link.unlink(missing_ok=True)
            blob.unlink(missing_ok=True)
            raise
        except FileNotFoundError as error:
            if self._store.adopt(self._job.repo, file) is None:
                raise DownloadFailed(f"{self._job.repo}/{file.path}: the staged file was taken away") from error
            self._send("file", path=file.path, size=file.size)  # another process had the same job and was faster
            return
        # The same content under two paths is one blob: the second finds it in the store.
        if self._store.adopt(self._job.repo, file) is None:
            try:
                self._store.publish(self._job.repo, file, blob, record)
            except OSError as error:
                raise self._named(error, file) from error
        link.unlink(missing_ok=True)
        self._send("file", path=file.path, size=file.size)

    def _path_of(self, file: HubFile) -> str:
        """Return the path of a file's URL."""
        prefix = httpx2.URL(self._endpoint).path.rstrip("/")
        return f"{prefix}/{self._job.repo}/resolve/{self._job.commit}/{file.path}"

    def _stage(self, file: HubFile) -> Path:
        """Download a file, by Xet where that is offered and works; what is offered and missing is no fault of the file."""
        try:
            return self._download_by_library(file)
        except Exception as error:
            named = self._named(error, file)
            if isinstance(named, StorageFilled) or not self._xet.fail(self._path_of(file)):
                raise named from error
            self._send("notice", message=f"{named}: it was to come by Xet, so it is asked for without; so is what follows")
        try:
            return self._download_by_library(file)
        except Exception as error:
            raise self._named(error, file) from error

    def _download_by_library(self, file: HubFile) -> Path:
        job = self._job
        # A file that an earlier, killed run staged whole is returned at once, and hashed like any other.
        return Path(
            hf_hub_download(
                str(job.repo),
                file.path,
                revision=str(job.commit),
                endpoint=self._endpoint,
                cache_dir=self._staging,
                token=job.token or False,
                tqdm_class=self._counter.bar(),  # documented: a tqdm, "or at least mimic its behavior"
            )
        )

    def _named(self, error: Exception, file: HubFile) -> ContentError:
        """Return what went wrong with a file, in our words."""
        where = f"{self._job.repo}/{file.path}"
        if isinstance(error, DownloadStalled | OriginRateLimited | OriginUnreachable | AddressRefused):
            error.args = (f"{where} from {self._endpoint}: {error}",)
            return error
        if isinstance(error, httpx2.RemoteProtocolError) and RESET in str(error):
            return OriginUnreachable(f"{where} from {self._endpoint}: {error}")
        if isinstance(error, httpx2.RemoteProtocolError):
            return DownloadFailed(
                f"{where} from {self._endpoint}: the body ended early: {error} (the file has {file.size} bytes)"
            )
        if isinstance(error, OSError) and error.errno in _FULL:
            free = self._store.free_bytes()
            return StorageFilled(f"{where}: the volume became full on the way", needed_bytes=file.size, available_bytes=free)
        if sizes := _SIZES.search(str(error)):
            announced, got = sizes.groups()
            return DownloadFailed(f"{where} from {self._endpoint}: the body has {got} of {announced} bytes")
        return map_hub_error(error, f"{where}@{self._job.commit}", self._endpoint)
