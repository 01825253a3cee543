"""Whether files may come by Xet: the hub's own transfer, which what stands before a hub may promise and not have."""

import importlib.util
import threading

from huggingface_hub import constants


class Xet:
    """One job's use of Xet, shared by its threads. It is given up for the rest of the job at its first failure."""

    def __init__(self, *, allowed: bool = True) -> None:
        self._lock = threading.Lock()
        self._on = allowed and not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None
        self._promised: set[str] = set()

    @property
    def on(self) -> bool:
        """Tell whether a file may come by Xet."""
        return self._on

    def promise(self, path: str) -> None:
        """Note that the library was told that the file behind this URL's path may come by Xet."""
        with self._lock:
            self._promised.add(path)

    def fail(self, path: str) -> bool:
        """Note that this file did not come; return whether it came by Xet, and so may come as any other file now."""
        with self._lock:
            if path not in self._promised:
                return False
            self._promised.discard(path)
            self._on = False
            return True
