"""The raw client against the real API server, through a proxy that shows what was sent."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from pinion_operator.cluster.api import PAGE, Api
from pinion_operator.cluster.errors import (
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NoCredentialsError,
    NotFoundError,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreachableError,
)
from pinion_operator.cluster.patience import IMPATIENT, PATIENT, Patience
from pinion_operator.resources.kinds import CONFIGMAP, IPFSBACKEND, SECRET, Object, Ref
from tests.support.api_proxy import ApiProxy, Fault

pytestmark = [pytest.mark.control_plane]


@pytest.fixture
def proxy(control_plane: ControlPlane, crds: None, tmp_path: Path) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane.kubeconfig, tmp_path) as running:
        yield running


@pytest.fixture
async def api(proxy: ApiProxy) -> AsyncIterator[Api]:
    api = await connect(proxy)
    yield api
    await api.close()


async def connect(proxy: ApiProxy, timeout: float = 20.0, patience: Patience = PATIENT) -> Api:
    return await Api.connect(
        kubeconfig=str(proxy.client_config),
        agent="tests",
        connections=4,
        manager="tests",
        timeout=timeout,
        patience=patience,
        on_request=lambda *_: None,
    )


@pytest.fixture
async def impatient(proxy: ApiProxy) -> AsyncIterator[Api]:
    api = await connect(proxy, patience=IMPATIENT)
    yield api
    await api.close()


def configmap(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}, "data": data}


def ref(obj: Object) -> Ref:
    return Ref(CONFIGMAP, obj["metadata"]["namespace"], obj["metadata"]["name"])


async def test_create_get_apply_patch_delete(api: Api, namespace: str) -> None:
    made = await api.create(configmap(namespace, "a", x="1"))
    assert await api.get(CONFIGMAP, (namespace, "a")) == made
    assert await api.get(CONFIGMAP, (namespace, "nothing")) is None
    with pytest.raises(ConflictError, match="already exists"):
        await api.create(configmap(namespace, "a"))

    applied = await api.apply(configmap(namespace, "a", x="2"))
    assert applied["data"] == {"x": "2"}
    again = await api.apply(configmap(namespace, "a", x="2"))
    assert again["metadata"]["resourceVersion"] == applied["metadata"]["resourceVersion"]

    body = {"metadata": {"labels": {"l": "v"}}}
    patched = await api.patch(ref(made), body, resource_version=applied["metadata"]["resourceVersion"])
    assert patched["metadata"]["labels"] == {"l": "v"}
    with pytest.raises(ConflictError):
        await api.patch(ref(made), body, resource_version=applied["metadata"]["resourceVersion"])

    assert not await api.delete(ref(made), uid="another")
    assert await api.delete(ref(made), uid=made["metadata"]["uid"])
    assert not await api.delete(ref(made), uid=made["metadata"]["uid"])


async def test_an_apply_with_an_old_resource_version_is_a_conflict(api: Api, namespace: str) -> None:
    spec = {"type": "Kubo", "managed": {}}
    meta = {"namespace": namespace, "name": "b"}
    named = {"apiVersion": IPFSBACKEND.api_version, "kind": IPFSBACKEND.name}
    backend = await api.create({**named, "metadata": meta, "spec": spec})
    old = {**meta, "resourceVersion": backend["metadata"]["resourceVersion"]}
    written = await api.apply({**named, "metadata": old, "status": {"observedGeneration": 1}}, "status")
    assert written["status"]["observedGeneration"] == 1
    assert written["metadata"]["generation"] == 1
    with pytest.raises(ConflictError):
        await api.apply({**named, "metadata": old, "status": {"observedGeneration": 2}}, "status")


async def test_a_long_list_comes_in_pages_and_whole(
    api: Api, proxy: ApiProxy, control_plane: ControlPlane, namespace: str
) -> None:
    many = [configmap(namespace, f"c-{number:04}") for number in range(PAGE + 1)]
    for one in many:
        one["metadata"]["labels"] = {"many": "yes"}
    listing = {"apiVersion": "v1", "kind": "List", "items": many}
    control_plane.kubectl("create", "-f", "-", input=json.dumps(listing), timeout=120)
    as_of, items = await api.list(CONFIGMAP, namespace, "many=yes")
    assert len(items) == PAGE + 1
    assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "ConfigMap")}
    assert as_of >= max(int(item["metadata"]["resourceVersion"]) for item in items)
    assert sum("limit" in one.query for one in proxy.settled) == 2


async def test_every_write_asks_the_guard_before_a_byte_of_it_leaves(api: Api, proxy: ApiProxy, namespace: str) -> None:
    made = await api.create(configmap(namespace, "d"))

    class LeaseLostError(Exception):
        pass

    def lost() -> None:
        raise LeaseLostError

    api.before_write = lost
    assert await api.get(CONFIGMAP, (namespace, "d"))
    writes = (
        lambda: api.create(configmap(namespace, "e")),
        lambda: api.apply(configmap(namespace, "d", x="1")),
        lambda: api.replace(made),
        lambda: api.patch(ref(made), {}, resource_version="1"),
        lambda: api.delete(ref(made), uid=made["metadata"]["uid"]),
    )
    for write in writes:
        with pytest.raises((LeaseLostError, UnreachableError)):
            await write()
    api.before_write = lambda: None
    assert await api.get(CONFIGMAP, (namespace, "d")) == made
    assert [one.method for one in proxy.writes(decided=True)] == ["POST"]


@pytest.mark.parametrize(
    ("status", "error", "transient"),
    [
        (401, ForbiddenError, True),
        (403, ForbiddenError, True),
        (404, NotFoundError, True),
        (409, ConflictError, True),
        (410, ExpiredError, True),
        (422, RefusedError, False),
        (429, ThrottledError, True),
        (503, ServerError, True),
    ],
)
async def test_answers_become_errors(
    impatient: Api, proxy: ApiProxy, namespace: str, status: int, error: type[ApiError], transient: bool
) -> None:
    proxy.faults.append(Fault(lambda request: True, status=status, retry_after="7"))
    with pytest.raises(error, match=f"{status} put here by a test") as raised:
        await impatient.create(configmap(namespace, "f"))
    assert raised.value.transient is transient
    assert raised.value.retry_after == 7


async def test_the_servers_own_refusal_says_what_is_wrong(api: Api, namespace: str) -> None:
    with pytest.raises(RefusedError, match=r"metadata\.name"):
        await api.apply(configmap(namespace, "Not-A-Name"))
    with pytest.raises(NotFoundError, match="namespaces"):
        await api.create(configmap("no-such-namespace", "g"))


async def test_no_answer_in_time_is_an_error(proxy: ApiProxy, namespace: str) -> None:
    api = await connect(proxy, timeout=3)
    held = Fault(lambda request: "/secrets/" in request.path)
    proxy.faults.append(held)
    with pytest.raises(UnreachableError):
        await api.get(SECRET, (namespace, "h"))
    assert held.met == 1
    proxy.cut = True
    with pytest.raises(UnreachableError):
        await api.get(SECRET, (namespace, "h"))
    await api.close()


async def test_no_credentials_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoCredentialsError):
        await Api.connect(
            kubeconfig=str(tmp_path / "none"), agent="a", connections=1, manager="m", timeout=1, on_request=lambda *_: None
        )
