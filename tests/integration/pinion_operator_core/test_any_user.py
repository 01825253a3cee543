"""The operator as clusters run it that choose the user themselves, OpenShift for one: no entry in passwd, group 0, no HOME."""

import pwd
from pathlib import Path

import pytest

from devcluster.control import ControlPlane
from tests.support.model_objects import Models
from tests.support.operator_process import Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

UNKNOWN_USER = 1_000_920_000


def test_it_leads_and_reconciles_as_a_user_that_nobody_knows(
    control_plane: ControlPlane, namespace: str, operators: Operators
) -> None:
    with pytest.raises(KeyError):
        pwd.getpwuid(UNKNOWN_USER)
    # It may read everything, because this project and its packages may lie in a private folder, and write nothing.
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    nobody = ("setpriv", f"--reuid={UNKNOWN_USER}", "--regid=0", "--clear-groups", *reading)
    operator = operators.start(prefix=nobody, without=("HOME", "USER", "LOGNAME"))
    operator.wait_leading()
    status = Path(f"/proc/{operator.process.pid}/status").read_text()
    assert f"Uid:\t{UNKNOWN_USER}\t{UNKNOWN_USER}" in status
    models = Models(control_plane, namespace)
    models.apply("minilm", "org/model")
    wait_until(lambda: models.status("minilm").get("phase") == "Resolving", "the operator has looked at it")
    assert operator.stop() == 0
