"""The child that alone imports `ipfs_kit_py`: requests and answers are JSON lines, and what it prints goes to standard error.

`python -m pinion_ipfs.backends.ipfs_kit_child`. Only what the package's own pages document is called: `IPFSSimpleAPI` of
`ipfs_kit_py.high_level_api`, and of it `add`, `get`, `pin`, `unpin`, `list_pins`.
"""

import base64
import importlib.metadata
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

# How its pages say that options of `ipfs add` are passed on: these give one raw leaf, as our own layout has it.
_AS_OURS = {"cid_version": 1, "raw_leaves": True, "chunker": "size-1048576"}
_PACKAGE = "ipfs_kit_py"


def main() -> NoReturn:
    """Answer requests; the process ends with its input, whatever it is doing then."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    api: Any = None
    while True:
        request = json.loads(requests.get())
        try:
            if api is None:
                api = _open()
            answer = {"result": _ACTIONS[request["do"]](api, request)}
        except BaseException as error:  # also what is no Exception: it is the package's own, and to be told
            answer = {"error": type(error).__name__, "message": str(error)[:500], "imported": api is not None}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _listen(requests: "queue.SimpleQueue[str]") -> NoReturn:
    """Pass requests on; at their end nobody waits for an answer: end at once, with what the package may have started."""
    for line in sys.stdin:
        requests.put(line)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _open() -> Any:
    from ipfs_kit_py.high_level_api import IPFSSimpleAPI

    return IPFSSimpleAPI()


def _version(api: Any, request: Mapping[str, Any]) -> str:
    try:
        return importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules[_PACKAGE], "__version__", ""))


def _add(api: Any, request: Mapping[str, Any]) -> str:
    return str(_done(api.add(base64.b64decode(request["data"]), pin=False, **_AS_OURS))["cid"])


def _get(api: Any, request: Mapping[str, Any]) -> str | None:
    data = api.get(request["cid"])
    if data is None:
        return None
    if not isinstance(data, bytes | bytearray):
        raise TypeError(f"get gives {type(data).__name__} and no bytes")
    if len(data) > request["most"]:
        raise ValueError(f"get gives {len(data)} bytes, more than {request['most']}")
    return base64.b64encode(data).decode()


def _pin(api: Any, request: Mapping[str, Any]) -> bool:
    _done(api.pin(request["cid"], recursive=True))
    return True


def _unpin(api: Any, request: Mapping[str, Any]) -> bool:
    _done(api.unpin(request["cid"], recursive=True))
    return True


def _pins(api: Any, request: Mapping[str, Any]) -> list[str]:
    answer = _done(api.list_pins(type="recursive"))
    pins = answer.get("pins", answer.get("Keys"))  # its pages name both
    return [str(each.get("cid") if isinstance(each, dict) else each) for each in pins]


def _done(answer: Any) -> Mapping[str, Any]:
    """Return an answer that says it succeeded; raise what it says otherwise."""
    if not isinstance(answer, dict):
        raise TypeError(f"the answer is {type(answer).__name__} and no dictionary")
    if answer.get("success") is not True:
        raise RuntimeError(str(answer.get("error") or "it did not succeed, and does not say why"))
    return answer


_ACTIONS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "version": _version,
    "add": _add,
    "get": _get,
    "pin": _pin,
    "unpin": _unpin,
    "pins": _pins,
}


if __name__ == "__main__":
    main()
