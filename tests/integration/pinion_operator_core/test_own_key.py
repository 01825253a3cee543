"""The operator's own key: made once, whoever comes first, and never guessed when it is spoilt."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from pinion_operator.cluster.api import Api
from pinion_operator.cluster.errors import ApiError
from pinion_operator.cluster.own_key import OwnKey
from tests.support.api_proxy import ApiProxy

pytestmark = [pytest.mark.control_plane]


@pytest.fixture
async def api(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Api]:
    with ApiProxy(control_plane.kubeconfig, tmp_path) as proxy:
        api = await Api.connect(
            kubeconfig=str(proxy.client_config),
            agent="tests",
            connections=4,
            manager="tests",
            timeout=20,
            on_request=lambda *_: None,
        )
        yield api
        await api.close()


async def test_all_have_the_same(api: Api, namespace: str) -> None:
    keys = await asyncio.gather(*(OwnKey(api, namespace, "key").get() for _ in range(4)))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert await OwnKey(api, namespace, "another").get() != keys[0]


@pytest.mark.parametrize("data", [{}, {"key": ""}, {"key": "c2hvcnQ="}])
async def test_a_spoilt_one_is_named(api: Api, control_plane: ControlPlane, namespace: str, data: dict[str, Any]) -> None:
    meta = {"name": "key", "namespace": namespace}
    control_plane.kubectl(
        "create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})
    )
    with pytest.raises(ApiError, match=f"Secret {namespace}/key has no `key` of 32 bytes"):
        await OwnKey(api, namespace, "key").get()


async def test_whether_a_name_is_free_is_told_without_making_anything(
    api: Api, control_plane: ControlPlane, namespace: str
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    assert await api.is_free(secret)
    assert await api.is_free(secret), "asking made nothing"
    await api.create(secret)
    assert not await api.is_free(secret)
