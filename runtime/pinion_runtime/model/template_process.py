"""The process that renders templates, `python -m pinion_runtime.model.template_process FD PARENT_PID`.

A template is code of the repository. Beside jinja2's sandbox, this process has nothing: no environment, no more memory than it
needs, and no descriptor is left with which to open a file or a connection.
"""

import ctypes
import importlib
import os
import resource
import signal
import socket
import sys
import time
from datetime import datetime
from pathlib import Path

from jinja2.exceptions import TemplateError, TemplateSyntaxError

from .chat_template import ChatTemplate, TooLarge
from .template_protocol import HEADER_BYTES, Failed, Ready, Render, Rendered, Setup, TemplateFailure, encode_frame, to_process

MOST_MESSAGE_CHARACTERS = 1000  # of an error that a template raises
# What jinja2 imports only when it is used, and could not when no file can be opened any more.
_IMPORTED_LATE = ("encodings.unicode_escape", "html", "jinja2.constants", "jinja2.debug", "pprint")
_PR_SET_PDEATHSIG = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Render what comes until the front is gone."""
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the front decides when we end
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl
        return
    channel = socket.socket(fileno=fd)
    setup = _receive(channel)
    if not isinstance(setup, Setup):
        return
    _warm_up()
    _shut_in(setup.memory_bytes, fd)
    channel.sendall(encode_frame(Ready()))
    compiled: dict[str, ChatTemplate] = {}
    while isinstance(message := _receive(channel), Render):
        channel.sendall(encode_frame(_answer(message, setup, compiled)))


def _answer(message: Render, setup: Setup, compiled: dict[str, ChatTemplate]) -> Rendered | Failed:
    try:
        if message.template not in compiled:
            compiled[message.template] = ChatTemplate(setup.templates[message.template])
        text = compiled[message.template].render(
            message.messages,
            variables=message.variables,
            tools=message.tools,
            documents=message.documents,
            add_generation_prompt=message.add_generation_prompt,
            continue_final_message=message.continue_final_message,
            most_bytes=setup.most_bytes,
        )
        text.encode()  # a template may have written a lone surrogate
        return Rendered(text)
    except TooLarge:
        return Failed(TemplateFailure.TOO_LARGE, f"more than {setup.most_bytes} bytes of text")
    except MemoryError:
        return Failed(TemplateFailure.TOO_LARGE, f"more than {setup.memory_bytes} bytes of memory")
    except Exception as error:  # it is a program of someone else's
        return Failed(TemplateFailure.RAISED, _describe(error))


def _describe(error: Exception) -> str:
    """Return the message of an error; of one that is Python's own, its name too."""
    text = str(error)
    if isinstance(error, TemplateSyntaxError):
        text = f"line {error.lineno}: {error.message}"
    elif not isinstance(error, TemplateError):
        text = f"{type(error).__name__}: {text}"
    text = text.encode(errors="replace").decode()
    return text if len(text) <= MOST_MESSAGE_CHARACTERS else f"{text[:MOST_MESSAGE_CHARACTERS]}..."


def _warm_up() -> None:
    """Import what may be needed, and read the time zone."""
    for name in _IMPORTED_LATE:
        importlib.import_module(name)
    time.tzset()
    datetime.now().strftime("%d %b %Y %Z")


def _shut_in(memory_bytes: int, channel: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * _PAGE + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.closerange(channel + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for what, most in ((resource.RLIMIT_NOFILE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))


def _receive(channel: socket.socket) -> Setup | Render | None:
    """Wait for a message; None = the front is gone."""
    header = _read(channel, HEADER_BYTES)
    data = _read(channel, int.from_bytes(header, "little")) if header is not None else None
    return to_process.decode(data) if data is not None else None


def _read(channel: socket.socket, size: int) -> bytes | None:
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        try:
            got = channel.recv_into(view[have:])
        except OSError:
            got = 0
        if not got:
            return None
        have += got
    return bytes(data)


if __name__ == "__main__":
    main()
