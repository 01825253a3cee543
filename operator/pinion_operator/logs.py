"""Structured logs on standard error: one JSON object a line, with the fields that the call names in `extra`."""

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, then the call's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **own_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = " ".join(f"{name}={value}" for name, value in own_fields(record).items())
        return f"{super().format(record)} {fields}".rstrip()


class RepeatFilter(logging.Filter):
    """Lets the same message of a library through once in so many seconds: nine watches try again every three."""

    def __init__(self, seconds: float = 60.0, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds, self._now = seconds, now
        self._shown: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show this record."""
        if record.name.startswith("pinion_operator"):
            return True
        now, text = self._now(), re.sub(r"#\d+(/\d+)?|resourceVersion=\d+", "", record.getMessage())
        self._shown = {known: at for known, at in self._shown.items() if now - at < self._seconds}
        if text in self._shown:
            return False
        self._shown[text] = now
        return True


def own_fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what the call passed as `extra`, without what kopf adds to each of its records."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and isinstance(value, str | int | float | bool | None) and not name.startswith("k8s_")
    }


def set_up(level: str, form: str) -> None:
    """Send the log of this process to standard error: ours from `level` on, libraries' warnings."""
    handler = logging.StreamHandler()
    handler.addFilter(RepeatFilter())
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger("pinion_operator").setLevel(level)
