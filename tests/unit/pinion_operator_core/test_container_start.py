"""What kubelets and container runtimes say of a container that cannot be started, told in a few words that do not change."""

from typing import Any

import pytest

from pinion_operator.reconcile.container_start import why_not_started

RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: exec: "dumb-init": executable file not found in $PATH: unknown'
)
NO_INIT = "the image mine:1 has no program dumb-init"
NEVER_WAS = {"reason": "StartError", "exitCode": 128, "message": RUNC, "finishedAt": "2026-01-01T00:00:00Z"}
RESERVED = 'failed to reserve container name "runtime_m-0": name is reserved for "{}"'


def waiting(reason: str, message: str | None = None, last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"reason": reason, **({} if message is None else {"message": message})}
    return {"state": {"waiting": state}, **({} if last is None else {"lastState": {"terminated": last}})}


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "containerd, at the first try": ({"state": {"terminated": NEVER_WAS}}, NO_INIT),
    "containerd, as the kubelet has it": (waiting("RunContainerError", RUNC), NO_INIT),
    "containerd, between two tries": (
        waiting("CrashLoopBackOff", "back-off 40s restarting failed container", NEVER_WAS),
        NO_INIT,
    ),
    "crun, of CRI-O": (
        waiting(
            "CreateContainerError", "container create failed: executable file `dumb-init` not found in $PATH: No such file"
        ),
        NO_INIT,
    ),
    "runsc, of gVisor": (
        waiting("RunContainerError", 'error finding executable "dumb-init" in PATH [/bin]: no such file or directory'),
        NO_INIT,
    ),
    "a path": (
        waiting("RunContainerError", 'exec: "/opt/x": stat /opt/x: no such file or directory: unknown'),
        "the image mine:1 has no program /opt/x",
    ),
    "the engine of Docker": (
        {"state": {"terminated": {"reason": "ContainerCannotRun", "exitCode": 127, "message": "no such device"}}},
        "no such device",
    ),
    "a Secret that is missing": (
        waiting("CreateContainerConfigError", 'secret "mine" not found'),
        'secret "mine" not found',
    ),
    "a name that is taken": (waiting("CreateContainerError", RESERVED.format("9f" * 32)), RESERVED.format("...")),
    "no words at all": (waiting("CreateContainerError"), "CreateContainerError"),
    "not tried": (waiting("ContainerCreating"), ""),
    "an image that does not come": (waiting("ImagePullBackOff", "Back-off pulling image"), ""),
    "a program that ended": ({"state": {"terminated": {"reason": "Error", "exitCode": 128, "message": "no"}}}, ""),
    "one that has got over it": ({"state": {"running": {}}, "lastState": {"terminated": NEVER_WAS}}, ""),
    "nothing known": ({}, ""),
}


@pytest.mark.parametrize(("status", "why"), CASES.values(), ids=CASES.keys())
def test_why(status: dict[str, Any], why: str) -> None:
    assert why_not_started({"name": "runtime", "image": "mine:1", **status}) == why


def test_a_long_story_is_cut() -> None:
    assert len(why_not_started(waiting("RunContainerError", "x " * 5000))) == 500
