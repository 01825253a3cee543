"""A collection that stands still, so that something can come to a store meanwhile."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from pinion_ipfs.store import Store
from pinion_ipfs.store.collection import Collection, collect
from pinion_ipfs.store.store import REF_NAMESPACE
from tests.support.waiting import wait_until


@contextmanager
def collecting(store: Store, folder: str) -> Iterator[Future[Collection]]:
    """Start a collection that has looked at what is there, and reads who holds a repository until the block ends."""
    pipe = store.cache_dir / folder / "refs" / REF_NAMESPACE / "slow"
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(collect, store, idle_seconds=0.0)

        def opened() -> int | None:
            assert not running.done(), running.result()
            try:
                return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return None  # nobody reads it yet

        writer = wait_until(opened, "the collection reads the ref")
        assert writer is not None
        try:
            yield running
        finally:
            pipe.unlink()
            os.close(writer)
