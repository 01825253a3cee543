"""A server that asks to come back later, or drops connections, costs time within the request and nothing else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from devcluster.control import ControlPlane
from pinion_operator.cluster.api import LISTS, PAGE, Api
from pinion_operator.cluster.errors import ConflictError, ExpiredError, ServerError, ThrottledError, UnreachableError
from pinion_operator.cluster.patience import DROPPED_AGAIN, LONGEST, Patience
from pinion_operator.resources.kinds import CONFIGMAP, Object, Ref
from tests.support.api_proxy import ApiProxy, Asked, Fault
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


@pytest.fixture
def proxy(control_plane: ControlPlane, crds: None, tmp_path: Path) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane.kubeconfig, tmp_path) as running:
        yield running


PATIENT = Patience(attempts=5, seconds=20)


async def connect(proxy: ApiProxy, patience: Patience = PATIENT) -> Api:
    return await Api.connect(
        kubeconfig=str(proxy.client_config),
        agent="tests",
        connections=4,
        manager="tests",
        timeout=20,
        patience=patience,
        on_request=lambda *_: None,
    )


@pytest.fixture
async def api(proxy: ApiProxy) -> AsyncIterator[Api]:
    api = await connect(proxy)
    yield api
    await api.close()


def configmap(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}, "data": data}


def statuses(proxy: ApiProxy, method: str, path: str = "/configmaps") -> list[int]:
    return [one.status for one in proxy.settled if one.method == method and path in one.path]


def busy(method: str, *, times: int, status: int = 429, retry_after: str = "0.1", message: str = "busy") -> Fault:
    return Fault(lambda request: request.method == method, status, times, retry_after=retry_after, message=message)


async def test_reads_and_writes_are_made_again_and_once(api: Api, proxy: ApiProxy, namespace: str) -> None:
    for method in ("POST", "PATCH", "GET", "PUT", "DELETE"):
        proxy.faults.append(busy(method, times=2))
    made = await api.create(configmap(namespace, "a", x="1"))
    applied = await api.apply(configmap(namespace, "a", x="2"))
    assert await api.get(CONFIGMAP, (namespace, "a")) == applied
    replaced = await api.replace({**applied, "data": {"x": "3"}})
    ref = Ref(CONFIGMAP, namespace, "a")
    await api.patch(ref, {"data": {"y": "1"}}, resource_version=replaced["metadata"]["resourceVersion"])
    assert await api.delete(ref, uid=made["metadata"]["uid"])
    assert statuses(proxy, "POST") == [429, 429, 201]
    assert statuses(proxy, "PATCH") == [429, 429, 200, 200]
    for method in ("GET", "PUT", "DELETE"):
        assert statuses(proxy, method) == [429, 429, 200], method


async def test_what_is_under_way_is_looked_at_once_it_is_answered(api: Api, proxy: ApiProxy, namespace: str) -> None:
    proxy.faults.append(Fault(lambda request: request.method == "POST", delay=1, left=1))
    creating = asyncio.create_task(api.create(configmap(namespace, "a")))
    await asyncio.to_thread(wait_until, proxy.writes, "the request")
    assert [(one.method, one.status) for one in proxy.writes(decided=True)] == [("POST", 201)]
    await creating


async def test_what_the_server_asks_for_is_waited_for(api: Api, proxy: ApiProxy, namespace: str) -> None:
    proxy.faults.append(busy("GET", times=1, retry_after="2"))
    started = time.monotonic()
    assert await api.get(CONFIGMAP, (namespace, "a")) is None
    assert time.monotonic() - started >= 2


async def test_a_wish_for_an_hour_is_cut_short(proxy: ApiProxy, namespace: str) -> None:
    api = await connect(proxy, Patience(attempts=5, seconds=3))
    proxy.faults.append(busy("GET", times=9, retry_after="3600"))
    async with asyncio.timeout(30):
        with pytest.raises(ThrottledError) as raised:
            await api.get(CONFIGMAP, (namespace, "a"))
    assert raised.value.retry_after == LONGEST, "and the pass need not wait for longer either"
    assert statuses(proxy, "GET") == [429]
    await api.close()


async def test_patience_has_an_end(api: Api, proxy: ApiProxy, namespace: str) -> None:
    proxy.faults.append(busy("POST", times=100))
    with pytest.raises(ThrottledError, match="busy"):
        await api.create(configmap(namespace, "a"))
    assert statuses(proxy, "POST") == [429] * 5


async def test_a_busy_503_and_an_etcd_without_a_leader_are_waited_out(api: Api, proxy: ApiProxy, namespace: str) -> None:
    proxy.faults.append(busy("POST", times=1, status=503))
    proxy.faults.append(busy("GET", times=1, status=500, retry_after="", message="etcdserver: leader changed"))
    await api.create(configmap(namespace, "a"))
    assert await api.get(CONFIGMAP, (namespace, "a"))
    assert (statuses(proxy, "POST"), statuses(proxy, "GET")) == ([503, 201], [500, 200])
    lost = busy("POST", times=1, status=500, retry_after="", message="etcdserver: request timed out")
    proxy.faults.append(lost)
    with pytest.raises(ServerError):
        await api.create(configmap(namespace, "b"))
    assert statuses(proxy, "POST") == [503, 201, 500], "it may have happened: whoever asked looks first"


async def test_a_conflict_is_not_made_again(api: Api, proxy: ApiProxy, namespace: str) -> None:
    proxy.faults.append(busy("PATCH", times=9, status=409))
    with pytest.raises(ConflictError):
        await api.apply(configmap(namespace, "a"))
    assert statuses(proxy, "PATCH") == [409]


async def test_a_dropped_connection_is_opened_again_for_what_may_be_repeated(api: Api, proxy: ApiProxy, namespace: str) -> None:
    await api.create(configmap(namespace, "a", x="1"))  # the connection is kept open
    for method in ("GET", "PATCH", "POST"):
        proxy.faults.append(Fault(lambda request, m=method: request.method == m, left=1, lost=True))
    applied = await api.apply(configmap(namespace, "a", x="2"))
    assert await api.get(CONFIGMAP, (namespace, "a")) == applied
    with pytest.raises(UnreachableError):
        await api.create(configmap(namespace, "b"))
    assert await api.get(CONFIGMAP, (namespace, "b")), "it was made, and not asked for twice"
    assert statuses(proxy, "POST") == [201, 0]
    always = Fault(lambda request: request.method == "PATCH", lost=True)
    proxy.faults.append(always)
    with pytest.raises(UnreachableError):
        await api.apply(configmap(namespace, "a", x="3"))
    assert always.met == 1 + DROPPED_AGAIN


async def test_each_attempt_of_a_write_asks_the_guard(api: Api, proxy: ApiProxy, namespace: str) -> None:
    class LeaseLostError(Exception):
        pass

    asked = 0

    def lost_after_the_first() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise LeaseLostError

    api.before_write = lost_after_the_first
    proxy.faults.append(busy("POST", times=1))
    with pytest.raises((LeaseLostError, UnreachableError)):
        await api.create(configmap(namespace, "a"))
    assert asked >= 2
    api.before_write = lambda: None
    assert await api.get(CONFIGMAP, (namespace, "a")) is None


async def test_who_waits_says_so(api: Api, proxy: ApiProxy, namespace: str) -> None:
    told: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        told.append("waits")
        yield
        told.append("goes on")

    api.while_waiting = waiting
    proxy.faults.append(busy("GET", times=2))
    await api.get(CONFIGMAP, (namespace, "a"))
    assert told == ["waits", "goes on"] * 2


class Pages:
    """More ConfigMaps than fit on one page, and the requests for them."""

    def __init__(self, proxy: ApiProxy, plane: ControlPlane, namespace: str) -> None:
        self._proxy, self._namespace = proxy, namespace
        many = [configmap(namespace, f"c-{number:04}") for number in range(PAGE + 1)]
        for one in many:
            one["metadata"]["labels"] = {"many": "yes"}
        plane.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": many}), timeout=120)

    async def list(self, api: Api) -> tuple[Object, ...]:
        _, items = await api.list(CONFIGMAP, self._namespace, "many=yes")
        return tuple(items)

    def fault(self, status: int, times: int) -> None:
        """Let pages after the first be answered so."""

        def matches(request: web.Request) -> bool:
            return "continue" in request.query

        self._proxy.faults.append(Fault(matches, status, times, retry_after="0.1" if status == 429 else ""))

    def asked(self) -> tuple[int, int]:
        """Return how many first and how many further pages were asked for."""
        pages: list[Asked] = [one for one in self._proxy.settled if "limit=" in one.query]
        further = sum("continue=" in one.query for one in pages)
        return len(pages) - further, further


@pytest.fixture
def pages(proxy: ApiProxy, control_plane: ControlPlane, namespace: str) -> Pages:
    return Pages(proxy, control_plane, namespace)


async def test_a_list_goes_on_at_the_page_that_was_refused(api: Api, pages: Pages) -> None:
    pages.fault(429, times=3)
    assert len(await pages.list(api)) == PAGE + 1
    assert pages.asked() == (1, 4)


async def test_a_list_whose_moment_is_forgotten_begins_again_and_not_for_ever(api: Api, pages: Pages) -> None:
    pages.fault(410, times=1)
    assert len(await pages.list(api)) == PAGE + 1
    assert pages.asked() == (2, 2)
    pages.fault(410, times=100)
    with pytest.raises(ExpiredError):
        await pages.list(api)
    assert pages.asked() == (2 + LISTS, 2 + LISTS)
