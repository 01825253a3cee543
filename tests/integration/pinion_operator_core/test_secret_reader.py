"""Secrets that objects name: a refusal is remembered for a while that grows, and a right that comes is used."""

from pathlib import Path

import pytest

from devcluster.control import ControlPlane
from pinion_operator.cluster.api import Api
from pinion_operator.cluster.errors import ForbiddenError, ServerError
from pinion_operator.controller.secret_reader import LONGEST, SHORTEST, SecretReader
from tests.support.api_proxy import ApiProxy, Fault

pytestmark = [pytest.mark.control_plane]


async def test_a_refusal_is_asked_for_ever_less_often(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with ApiProxy(control_plane.kubeconfig, tmp_path, user="system:serviceaccount:nobody:nothing") as proxy:
        config = str(proxy.client_config)
        api = await Api.connect(
            kubeconfig=config, agent="tests", connections=2, manager="tests", timeout=20, on_request=lambda *_: None
        )
        clock, key = [0.0], (namespace, "token")
        reader = SecretReader(api, lambda: clock[0])

        async def asked_until(end: float) -> list[float]:
            """Ask every second as a pass would; return when that reached the API server."""
            reached = []
            while clock[0] < end:
                before = len(proxy.asked)
                with pytest.raises(ForbiddenError, match='cannot get resource "secrets"'):
                    await reader.get(key)
                reached += [clock[0]] if len(proxy.asked) > before else []
                clock[0] += 1
            return reached

        assert await asked_until(200) == [0, SHORTEST, 3 * SHORTEST]
        later = await asked_until(4000)
        assert later[-1] - later[-2] == LONGEST
        proxy.user = ""  # the right is there
        clock[0] += LONGEST
        assert await reader.get(key) is None
        asked = len(proxy.settled)
        assert await reader.get(key) is None
        assert len(proxy.settled) == asked + 1, "nothing is remembered of what is allowed"
        proxy.faults.append(Fault(lambda request: True, 500))
        for _ in range(2):
            with pytest.raises(ServerError):
                await reader.get(key)
        assert len(proxy.settled) == asked + 3, "nor of an API server in trouble"
        await api.close()
