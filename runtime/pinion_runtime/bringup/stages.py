"""From a configuration to a model that answers: one stage after the other, each tried again while that can help."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pinion_contract.config import FolderSource, IpfsSource, LiveConfig, RuntimeConfig, config_digest
from pinion_contract.status import FailureReason, ModelFacts, Phase
from pinion_ipfs.errors import CidMismatch, ContentError, PinFailed, StoreCorrupted
from pinion_ipfs.fetching.request import OpenSnapshot
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import Listing
from pinion_ipfs.hub.model_list import check_model_list
from pinion_ipfs.store import Store

from ..errors import EngineDied, EngineError
from ..pod.api_keys import follow_keys
from ..pod.metrics import VERIFICATION_REASONS
from ..pod.state import Pod
from ..pod.stopwatch import stopwatch
from ..settings import ConfigFiles, ModelFlags, Settings
from .cache_folder import make_cache_folder
from .content import Content, ModelContent
from .folder_content import FolderContent
from .live import InvalidConfig, follow_live, read_config, read_live
from .model_server import ModelServer
from .pin_keeper import keep_pinned
from .retry import delay_seconds
from .silent_hub import find_revision
from .tree_content import TreeContent

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Content = ModelContent[Any]  # of whichever kind: each takes back the snapshots that it gave

_ENGINE_ATTEMPTS = 3
# What a failure that has no reason of its own means in each stage: an error in the program, told as what it prevented.
_STAGE_REASONS = {
    Phase.RESOLVING: FailureReason.INVALID_CONFIG,
    Phase.FETCHING: FailureReason.DOWNLOAD_FAILED,
    Phase.VERIFYING: FailureReason.DOWNLOAD_FAILED,
    Phase.PINNING: FailureReason.PIN_FAILED,
    Phase.LOADING: FailureReason.MODEL_LOAD_FAILED,
    Phase.WARMING_UP: FailureReason.WARMUP_FAILED,
}


class Bringup:
    """Brings one model to Ready; `run` ends there, or in Failed with the reason, and never serves anything else.

    Only bytes that are not those of the wanted CID are looked at again, when live.json wants others.
    """

    def __init__(self, settings: Settings, pod: Pod) -> None:
        self._settings = settings
        self._pod = pod
        self._live = LiveConfig()
        self._live_changed = asyncio.Event()
        self._tried = ("", "")  # the CIDs that were wanted when the files were brought last
        self._unconfirmed = ""  # of the commit
        self._config: RuntimeConfig | None = None
        self._server: ModelServer | None = None
        self._content: _Content | None = None
        self._following: asyncio.Task[None] | None = None
        self._pinning: asyncio.Task[None] | None = None
        self._keys: asyncio.Task[None] | None = None
        self.grace_seconds = 30.0  # until the configuration says otherwise

    async def run(self) -> None:
        """Go through the stages."""
        lifecycle = self._pod.lifecycle
        while True:
            try:
                await self._stages()
            except (ContentError, InvalidConfig, EngineError) as error:
                await self._fail(_reason(error, lifecycle.phase), str(error))
                if not isinstance(error, CidMismatch) or self._following is None:
                    return
            except Exception as error:
                _log.exception("bring-up failed")
                await self._fail(_STAGE_REASONS[lifecycle.phase], f"{type(error).__name__}: {error}")
                return
            else:
                return
            while self._wanted_cids() == self._tried:
                self._live_changed.clear()
                await self._live_changed.wait()
            lifecycle.to(Phase.RESOLVING)

    async def close(self) -> None:
        """End the engine and the content port, and follow live.json no more."""
        await _cancel(self._following, self._keys)
        await self._stop_serving()
        if self._content is not None:
            await self._content.close()

    async def _stop_serving(self) -> None:
        await _cancel(self._pinning)
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    async def _stages(self) -> None:
        pod, lifecycle = self._pod, self._pod.lifecycle
        if self._config is None or self._content is None:
            self._config = await self._configure()
            self._content = self._make_content(self._config)
            self._content.start()
        config, content = self._config, self._content
        self._tried = self._wanted_cids()
        # A try takes what live.json says by then: another pod may have learned the CID meanwhile.
        listing = await self._persist(lambda: content.resolve(self._live))
        check_model_list(listing)
        pod.model = pod.model.model_copy(
            update={
                "source_digest": listing.source_digest,
                "size_bytes": listing.total_bytes,
                "file_count": len(listing.files),
                "unconfirmed": "; ".join(filter(None, (self._unconfirmed, listing.unconfirmed))),
            }
        )
        for attempt in itertools.count():
            try:
                snapshot = await self._verified_snapshot(content, listing)
                pod.model = pod.model.model_copy(update={"cid": str(snapshot.cid), "manifest_cid": str(snapshot.manifest_cid)})
                lifecycle.to(Phase.PINNING)
                pinned = await self._pin(config, content, snapshot)
                lifecycle.to(Phase.LOADING)
                await self._serve_model(config, content, snapshot)
            except StoreCorrupted as error:
                # Found before anything was served from it: what is wrong has been taken out, and is fetched again.
                await self._start_over(error, attempt)
                continue
            if config.backends:
                seconds, refetch = self._settings.pin_seconds, partial(self._refetch, content, listing)
                keeping = keep_pinned(content, snapshot, refetch, pinned=pinned, seconds=seconds)
                self._pinning = asyncio.create_task(keeping)
            return

    def _make_content(self, config: RuntimeConfig) -> _Content:
        if isinstance(config.source, FolderSource):
            return FolderContent(config, config.source, self._settings, self._pod)
        if isinstance(config.source, IpfsSource):
            return TreeContent(config, config.source, self._settings, self._pod)
        return Content(config, config.source, self._settings, self._pod)

    async def _refetch(self, content: _Content, listing: Listing) -> None:
        await content.fetch(self._live, listing)

    async def _start_over(self, error: StoreCorrupted, attempt: int) -> None:
        self._note(error)
        server, self._server = self._server, None
        if server is not None:
            await server.close()
        await asyncio.sleep(delay_seconds(attempt))

    async def _pin(self, config: RuntimeConfig, content: _Content, snapshot: OpenSnapshot) -> bool:
        """Pin, and return whether that was done; without fallback wait until it is. Raise StoreCorrupted."""
        with stopwatch(self._pod, "pin_seconds"):
            for attempt in itertools.count():
                try:
                    await content.pin(snapshot)
                except PinFailed as error:
                    self._note(error)
                    if config.fallback == "Automatic":
                        return False
                    await asyncio.sleep(delay_seconds(attempt))
                else:
                    return True
        raise AssertionError("unreachable: the loop has no end")

    async def _serve_model(self, config: RuntimeConfig, content: _Content, snapshot: OpenSnapshot) -> None:
        """Load, warm up and serve; an engine that dies on the way is replaced a few times."""
        lifecycle = self._pod.lifecycle
        for attempt in itertools.count(1):
            # The store's files are nobody's to change; a folder is its owner's, who may train on while it is served.
            verify = partial(content.verify, snapshot) if isinstance(config.source, FolderSource) else None
            server = self._server = ModelServer(self._pod, config, snapshot.path, snapshot.files, verify)
            try:
                # The files are hashed once more while they are loaded: what is published is the address of what was opened.
                opened = await beside(server.load(), content.verify(snapshot))
                self._pod.model = self._pod.model.model_copy(update={"opened_cid": str(opened.cid)})
                self._pod.metrics.serves(self._pod.model)
                lifecycle.to(Phase.WARMING_UP)
                await server.warm_up()
                await server.serve()
            except EngineDied as error:
                await server.close()
                if attempt == _ENGINE_ATTEMPTS:
                    raise
                lifecycle.engine_died(str(error))
                await asyncio.sleep(delay_seconds(attempt))
            else:
                lifecycle.to(Phase.READY)
                return

    async def _configure(self) -> RuntimeConfig:
        """Read the two files, or find the commit that the flags mean."""
        source = self._settings.source
        if isinstance(source, ConfigFiles) or not isinstance(source.model, Path):
            await asyncio.to_thread(make_cache_folder, self._settings.cache_dir)
        if isinstance(source, ConfigFiles):
            (config, digest), live = await asyncio.to_thread(lambda: (read_config(source.config), read_live(source.live)))
            self._following = asyncio.create_task(follow_live(source.live, live, self._settings.live_seconds, self._apply_live))
        else:
            live, config = source.live(), source.config(await self._find_commit(source))
            digest = config_digest(config.model_dump_json(by_alias=True))
        if config.api_keys_dir:
            # Closed from here on; before the model is served nothing is answered anyway.
            following = follow_keys(Path(config.api_keys_dir), self._pod.keys, self._settings.key_seconds)
            self._keys = asyncio.create_task(following)
        pod = self._pod
        pod.config_digest, pod.revision = digest, config.revision
        if isinstance(config.source, FolderSource):
            pod.model = ModelFacts(name=config.deployment, folder=config.source.folder)
        elif isinstance(config.source, IpfsSource):
            pod.model = ModelFacts(name=config.deployment, source_cid=config.source.cid, source_path=config.source.path)
        else:
            pod.model = ModelFacts(name=config.deployment, repo=config.source.repo, commit=config.source.commit)
        self.grace_seconds = float(config.termination_grace_period_seconds)
        self._apply_live(live)
        return config

    async def _find_commit(self, flags: ModelFlags) -> Commit | None:
        """Ask which commit the flags mean; a folder and a tree have none."""
        repo, token = flags.model, self._settings.hub_token
        if not isinstance(repo, RepoId):
            return None
        self._pod.model = ModelFacts(name=flags.served_name, repo=str(repo))
        store = Store(self._settings.cache_dir, self._settings.hub_cache)
        offline = self._settings.offline
        commit, self._unconfirmed = await self._persist(
            lambda: find_revision(store, repo, flags.revision, endpoint=flags.endpoint, token=token, offline=offline)
        )
        return commit

    def _apply_live(self, live: LiveConfig) -> None:
        self._live = live
        self._pod.limits, self._pod.expected_cid = live.limits, live.expected_cid
        self._pod.cors_origins = live.cors_origins or ()
        self._call(live.served_names or (self._pod.model.name,))
        if self._server is not None:
            self._server.set_limits(live.limits)
        known, ours = live.cid, self._pod.model.cid
        if known and ours and known != ours:
            _log.error("live.json names %s, this pod has %s", known, ours)
        self._live_changed.set()

    def _wanted_cids(self) -> tuple[str, str]:
        return self._live.expected_cid, self._live.cid

    def _call(self, names: tuple[str, ...]) -> None:
        """Let requests call the model so; the first of the names is the one that answers and metrics tell."""
        self._pod.served_names = names
        if self._pod.metrics.model != names[0]:
            self._pod.model = self._pod.model.model_copy(update={"name": names[0]})
            self._pod.metrics.name_model(names[0])

    async def _verified_snapshot(self, content: _Content, listing: Listing) -> OpenSnapshot:
        pod, lifecycle = self._pod, self._pod.lifecycle
        for attempt in itertools.count():
            lifecycle.to(Phase.FETCHING)
            self._tried = self._wanted_cids()
            with stopwatch(pod, "fetch_seconds"):
                snapshot: OpenSnapshot = await self._persist(lambda: content.fetch(self._live, listing))
            lifecycle.to(Phase.VERIFYING)
            try:
                with stopwatch(pod, "verify_seconds"):
                    verified: OpenSnapshot = await content.verify(snapshot)
                    return verified
            except ContentError as error:
                if not error.retryable:
                    raise
                # What was found wrong has been taken out of the store; it is fetched again.
                self._note(error)
                await asyncio.sleep(delay_seconds(attempt))
        raise AssertionError("unreachable: the loop has no end")

    async def _persist(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Call until it succeeds; an error that another try can't change comes out."""
        for attempt in itertools.count():
            try:
                return await call()
            except ContentError as error:
                if not error.retryable:
                    raise
                self._note(error)
                await asyncio.sleep(delay_seconds(attempt, getattr(error, "retry_after", None)))
        raise AssertionError("unreachable: the loop has no end")

    def _note(self, error: ContentError) -> None:
        reason = _reason(error, self._pod.lifecycle.phase)
        self._count_verification(reason)
        self._pod.lifecycle.retrying(reason, str(error))

    async def _fail(self, reason: FailureReason, message: str) -> None:
        self._count_verification(reason)
        self._pod.lifecycle.fail(reason, message)
        # Nothing may be served after this, and an engine that was loaded gives its memory back. Peers still get what is right.
        await self._stop_serving()

    def _count_verification(self, reason: FailureReason) -> None:
        if reason in VERIFICATION_REASONS:
            self._pod.metrics.verification_failures.labels(self._pod.metrics.model, reason.value).inc()


def _reason(error: Exception, stage: Phase) -> FailureReason:
    if isinstance(error, InvalidConfig):
        return FailureReason.INVALID_CONFIG
    if isinstance(error, ContentError):
        return FailureReason(error.reason)
    if isinstance(error, EngineDied):
        return FailureReason.ENGINE_DIED
    return _STAGE_REASONS[stage]


async def _cancel(*tasks: asyncio.Task[None] | None) -> None:
    running = {task for task in tasks if task is not None}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


async def beside(loading: Coroutine[None, None, None], checking: Awaitable[_T]) -> _T:
    """Run both at once and return what `checking` gives; when it fails, `loading` is given up.

    When `loading` fails, what `checking` finds comes first: wrong bytes are why a model does not load.
    """
    load = asyncio.ensure_future(loading)
    check = asyncio.ensure_future(checking)
    try:
        await asyncio.wait({load, check}, return_when=asyncio.FIRST_EXCEPTION)
        result = await check
        await load
    finally:
        for task in (load, check):
            task.cancel()
        await asyncio.wait({load, check})
    return result
