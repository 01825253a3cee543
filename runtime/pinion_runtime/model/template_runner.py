"""Renders chat templates in a process of its own, within bounds of time, memory and text.

The process is started once and kept; one that breaks a bound is replaced.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput
from .chat_template_files import ChatTemplates
from .template_child import TemplateChild
from .template_protocol import (
    Failed,
    Ready,
    Render,
    Rendered,
    Setup,
    TemplateFailure,
    encode_frame,
)

SECONDS = 2.0  # for one prompt
MOST_BYTES = 1 << 20  # of one prompt, as UTF-8
MEMORY_BYTES = 256 << 20
MOST_VARIABLES = 64  # of chat_template_kwargs
_START_SECONDS = 30.0
_FRAME_SLACK = 4096  # around a text in a message
_FRAME_BYTES_PER_BYTE = 6  # a control character, as JSON writes it
OPTIONS = frozenset(  # names that are no variables: what every template gets by itself, and options of transformers
    (
        *("messages", "conversation", "tools", "documents", "add_generation_prompt", "continue_final_message", "chat_template"),
        *("tokenize", "tokenizer_kwargs", "padding", "truncation", "max_length", "return_tensors", "return_dict"),
        *("return_assistant_tokens_mask", "sanitize_control_tokens"),
    )
)


class TemplateError(InvalidInput):
    """There is no prompt for these messages; `kind` says why, the message what the template said."""

    def __init__(self, kind: TemplateFailure, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class TemplateProbe:
    """What is known of a model's template before the first request."""

    exists: bool
    error: str = ""  # of one message of a user, "" when it makes a prompt
    knows_developer: bool = False  # the template names the role


class TemplateRunner:
    """The templates of one model. `start` may be left out: the first prompt starts the process then.

    One prompt is made at a time, in the order in which they were asked for.
    """

    def __init__(
        self,
        templates: ChatTemplates,
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._templates = templates
        self._seconds = seconds
        self._setup = Setup(dict(templates.by_name), most_bytes, memory_bytes)
        self._most_frame = most_bytes * _FRAME_BYTES_PER_BYTE + _FRAME_SLACK
        self._turn = asyncio.Lock()
        self._child: TemplateChild | None = None
        self._next: asyncio.Task[TemplateChild] | None = None  # the one that replaces it, while it starts
        self._tasks: set[asyncio.Task[str]] = set()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id, None when there is no process."""
        return self._child.process.pid if self._child is not None else None

    async def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        template: str | None = None,
        variables: Mapping[str, Any] | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool | str = False,
    ) -> str:
        """Return the prompt of normalised messages; raise InvalidInput for options that can't be, or TemplateError.

        `template` is a name, None: the model's default one, or its own for tools; `variables` are the caller's
        chat_template_kwargs.
        """
        check_variables(variables or {})
        if add_generation_prompt and continue_final_message:
            raise InvalidInput("add_generation_prompt and continue_final_message exclude each other")
        name = self._templates.choose(template, tools is not None)
        if name is None:
            raise TemplateError(TemplateFailure.MISSING, self._missing(template))
        request = Render(
            name,
            [dict(message) for message in messages],
            {**self._templates.special_tokens, **(variables or {})},
            [dict(tool) for tool in tools] if tools is not None else None,
            [dict(document) for document in documents] if documents is not None else None,
            add_generation_prompt,
            continue_final_message,
        )
        try:
            frame = encode_frame(request)
        except (UnicodeEncodeError, RecursionError) as error:
            raise InvalidInput(f"the messages or chat_template_kwargs can't be written as JSON: {error}") from error
        await self._turn.acquire()
        # Goes on when the caller does not: what the process answers must not be taken for the answer to the next.
        task = asyncio.get_running_loop().create_task(self._exchange(frame))
        self._tasks.add(task)
        task.add_done_callback(self._end_turn)
        return await asyncio.shield(task)

    async def probe(self) -> TemplateProbe:
        """Render a message and say what the template takes."""
        source = self._templates.by_name.get(self._templates.choose() or "")
        if source is None:
            return TemplateProbe(exists=False, error=self._missing(None))
        error = ""
        try:
            await self.render([{"role": "user", "content": "Why?"}])
        except TemplateError as raised:
            error = str(raised)
        return TemplateProbe(True, error, any(f"{quote}developer{quote}" in source for quote in "'\""))

    async def start(self) -> None:
        """Start the process; raise TemplateError when that can't be done."""
        async with self._turn:
            try:
                await self._ready()
            except (OSError, EOFError, ValueError) as error:
                raise self._error(TemplateFailure.DIED, str(error)) from error

    async def close(self) -> None:
        """End the process; a prompt that is being made is given up."""
        self._closed = True
        if self._next is not None:
            self._next.cancel()
            (child,) = await asyncio.gather(self._next, return_exceptions=True)
            if isinstance(child, TemplateChild):  # it had started
                await child.end()
        await self._end()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- the process

    async def _exchange(self, frame: bytes) -> str:
        try:
            child = await self._ready()
            answer = await child.ask(frame, self._seconds, self._most_frame)
        except TimeoutError:
            await self._replace()
            raise self._error(TemplateFailure.TOO_SLOW, f"more than {self._seconds:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise self._error(TemplateFailure.DIED, await self._replace() or str(error)) from error
        match answer:
            case Rendered():
                return answer.text
            case Failed(kind, message):
                if kind is TemplateFailure.TOO_LARGE:
                    await self._replace()
                raise self._error(kind, message)
        raise self._error(TemplateFailure.DIED, "it answered what was not asked")

    def _error(self, kind: TemplateFailure, what: str) -> TemplateError:
        match kind:
            case TemplateFailure.RAISED:
                return TemplateError(kind, f"the model's chat template does not take these messages: {what}")
            case TemplateFailure.DIED:
                return TemplateError(kind, f"the process of the model's chat template ended: {what}")
        return TemplateError(kind, f"the model's chat template took {what} for these messages")

    def _missing(self, name: str | None) -> str:
        there = ", ".join(sorted(self._templates.by_name))
        if not there:
            return "the model has no chat template: completions take a prompt as it is"
        wanted = f"no chat template named {name!r}" if name is not None else "several chat templates and no default one"
        return f"the model has {wanted}; it has {there}"

    async def _ready(self) -> TemplateChild:
        """Return the process, a new one where it has ended; raise ConnectionError, EOFError or ValueError."""
        if self._child is not None and self._child.process.poll() is not None:
            await self._end()
        starting, self._next = self._next, None
        if starting is not None:
            with contextlib.suppress(OSError, EOFError, ValueError):  # it is tried once more
                self._child = await starting
        if self._child is None:
            self._child = await self._started()
        return self._child

    async def _started(self) -> TemplateChild:
        if self._closed:
            raise ConnectionError("the server ends")
        child = await TemplateChild.start()
        try:
            answer = await child.ask(encode_frame(self._setup), _START_SECONDS, self._most_frame)
        except TimeoutError as error:
            await child.end()
            raise ConnectionError(f"it was not ready within {_START_SECONDS:g} s") from error
        except BaseException:
            await child.end()
            raise
        if isinstance(answer, Ready):
            return child
        await child.end()
        raise ConnectionError("it did not say that it is ready")

    async def _replace(self) -> str:
        """End the process and start another, for which nobody has to wait; return how it had ended by itself, or ""."""
        how = await self._end()
        if not self._closed:
            self._next = asyncio.get_running_loop().create_task(self._started())
        return how

    async def _end(self) -> str:
        child, self._child = self._child, None
        return await child.end() if child is not None else ""

    def _end_turn(self, task: asyncio.Task[str]) -> None:
        self._turn.release()
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more


def check_variables(variables: Mapping[str, Any]) -> None:
    """Raise InvalidInput for chat_template_kwargs that a template can't have."""
    if len(variables) > MOST_VARIABLES:
        raise InvalidInput(f"chat_template_kwargs has {len(variables)} entries; at most {MOST_VARIABLES} are taken")
    for name in variables:
        if name in OPTIONS:
            raise InvalidInput(f"chat_template_kwargs.{name} is not taken: it is no variable of templates but an option")
        if not name.isidentifier():
            raise InvalidInput(f"chat_template_kwargs has the entry {name[:60]!r}, which can't be a variable's name")
