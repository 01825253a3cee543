"""A service account's token that is replaced under the running operator, and dies: as in a pod, without a kubeconfig."""

import base64
import json
import urllib.parse
from pathlib import Path

import pytest

from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


class Account:
    """The folder that a kubelet would mount: a token bound to a Secret, which dies with that Secret."""

    def __init__(self, small: Small, folder: Path) -> None:
        self._small, self.folder, self._number = small, folder, 0
        folder.mkdir()
        config = json.loads(small.operators.control_plane.kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        (folder / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        (folder / "namespace").write_text(small.operators.namespace)
        self.server = urllib.parse.urlsplit(cluster["server"])

    def rotate(self) -> None:
        """Put a new token in the place of the one before, as a kubelet does: at once."""
        self._number += 1
        self._small.kubectl("create", "secret", "generic", self._bound)
        name = f"{self._small.operators.namespace}-operator"
        arguments = ("--duration=10m", "--bound-object-kind=Secret", f"--bound-object-name={self._bound}")
        token = self._small.kubectl("create", "token", name, *arguments)
        (self.folder / "new").write_text(token)
        (self.folder / "new").rename(self.folder / "token")

    def kill_the_one_before(self) -> None:
        self._small.kubectl("delete", "secret", f"token-{self._number - 1}")

    @property
    def _bound(self) -> str:
        return f"token-{self._number}"


def test_a_token_that_rotates_is_read_again(small: Small, tmp_path: Path) -> None:
    account = Account(small, tmp_path / "serviceaccount")
    account.rotate()
    operator = small.leader(
        KUBECONFIG="",
        KUBERNETES_SERVICE_HOST=str(account.server.hostname),
        KUBERNETES_SERVICE_PORT=str(account.server.port),
        PINION_SERVICE_ACCOUNT_PATH=str(account.folder),
        PINION_WATCH_SECONDS="3",
        PINION_LEASE_SECONDS="60",
    )
    assert operator.proxy.asked == [], "it goes to the API server itself"
    small.apply("one", 1)
    small.wait_ready("one")
    for number in (2, 3):
        account.rotate()
        account.kill_the_one_before()
        # The API server remembers for ten seconds that a token was good: only then does the old one show that it is dead.
        opened = operator.metric("pinion_operator_lease_renewals_total", result="renewed")
        wait_until(
            lambda at=opened: operator.metric("pinion_operator_lease_renewals_total", result="renewed") > at,
            "the Lease is renewed",
        )
        small.apply("one", number)
        wait_until(
            lambda n=number: small.get("configmap", "one-small")["data"] == {"priority": str(n)},
            "watches and writes go on",
        )
    assert operator.metric("pinion_operator_api_requests_total", code="401") == 0
    assert operator.process.poll() is None
    assert json.loads(small.kubectl("get", "secrets", "-o", "json"))["items"]
    assert (account.folder / "token").read_text().strip() not in operator.log.read_text()
