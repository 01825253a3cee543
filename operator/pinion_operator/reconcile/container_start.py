"""Why the node cannot start a container at all: words of the kubelet and of container runtimes, of which there are several."""

import re
from collections.abc import Mapping
from typing import Any

# The kubelet's, while it waits for another try; and what containerd and the engine of Docker note as the end of a process
# that never was.
_WAITING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError")
_NEVER_WAS = ("StartError", "ContainerCannotRun")
_NO_PROGRAM = re.compile(
    r"""exec: "(?P<runc>[^"]+)": (executable file not found|stat [^:]*: no such file)"""
    r"""|executable file `(?P<crun>[^`]+)` not found"""
    r"""|error finding executable "(?P<runsc>[^"]+)\""""
)
_IDENTIFIER = re.compile(r"\b[0-9a-f]{12,}\b")  # of a container: another one at each try, and the status would follow


def why_not_started(container: Mapping[str, Any]) -> str:
    """Return why the container of a pod's status cannot be started, "" when it could be or was not tried."""
    state = container.get("state", {})
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    if waiting:
        ended = container.get("lastState", {}).get("terminated") or {}
    if waiting.get("reason") in _WAITING:
        said = waiting.get("message") or waiting["reason"]
    elif ended.get("reason") in _NEVER_WAS:
        said = ended.get("message") or ended["reason"]
    else:
        return ""
    if missing := _NO_PROGRAM.search(said):
        return f"the image {container.get('image', '')} has no program {next(filter(None, missing.groupdict().values()))}"
    return _IDENTIFIER.sub("...", str(said).strip())[:500]
