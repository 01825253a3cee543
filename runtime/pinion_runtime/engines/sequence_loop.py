"""What a generating engine does once it is loaded: a pass over all sequences, and another one, while there are any."""

import time
from collections.abc import Callable, Collection
from typing import Protocol

from ..errors import Cancelled, EngineError
from .channel import Channel
from .protocol import Cancel, Failure, Generate, Shutdown, Step, Steps, ToEngine
from .resident import Trim


class Decoder(Protocol):
    """A loaded model that continues prompts."""

    def add(self, request: Generate) -> None:
        """Take a request in; nothing is computed yet."""

    def cancel(self, keys: Collection[int]) -> int:
        """Drop requests; return how many choices ended so."""

    def step(self) -> list[Step]:
        """Compute one token of every sequence that has its prompt behind it, and a piece of the prompts of others."""

    @property
    def busy(self) -> bool:
        """Whether a sequence has not finished."""

    @property
    def running(self) -> int:
        """How many sequences have not finished."""

    @property
    def used_tokens(self) -> int:
        """How many places of the cache are in use."""


class SequenceLoop:
    """One decoder and those requests that it has not finished."""

    def __init__(self, channel: Channel, trim: Trim, decoder: Decoder, to_error: Callable[[Exception], EngineError]) -> None:
        """`to_error` says what an exception of the model's own code means."""
        self._channel, self._trim, self._decoder, self._to_error = channel, trim, decoder, to_error
        self._choices: dict[int, int] = {}  # that have not finished, by key
        self._stopping = False

    def run(self) -> None:
        """Compute until the front wants no more."""
        while True:
            self._take_messages()
            if self._stopping:
                return
            if self._decoder.busy:
                self._pass()

    def _take_messages(self) -> None:
        """Take what has arrived; where there is nothing to compute, wait for something."""
        while not self._stopping:
            busy = self._decoder.busy
            if self._channel.ready(0.0 if busy else self._trim.seconds_left()):
                self._take(self._channel.receive())
            elif busy:
                return
            else:
                self._trim.perhaps()

    def _take(self, message: ToEngine) -> None:
        match message:
            case Generate():
                self._choices[message.key] = message.choices
                self._decoder.add(message)
            case Cancel():
                self._cancel([key for key in message.keys if key in self._choices], Cancelled("nobody waits for it"))
            case Shutdown():
                self._stopping = True
            case _:
                raise RuntimeError(f"{type(message).__name__} arrived where prompts are continued")

    def _pass(self) -> None:
        started = time.monotonic()
        try:
            steps = self._decoder.step()
        except Exception as error:  # of the model's own code: what it was computing is lost, and nothing else
            self._cancel(list(self._choices), self._to_error(error))
            return
        self._trim.used()
        ended = 0
        for step in steps:
            if step.failure is not None:
                ended += self._choices.pop(step.key)
            elif step.finish:
                ended += 1
                self._choices[step.key] -= 1
                if not self._choices[step.key]:
                    del self._choices[step.key]
        if steps:
            self._send(steps, time.monotonic() - started, ended)

    def _cancel(self, keys: list[int], error: EngineError) -> None:
        """Drop requests and say so; their choices' credits go back."""
        if keys:
            self._decoder.cancel(keys)
            ended = sum(self._choices.pop(key) for key in keys)
            self._send([Step(key, failure=Failure.of(error)) for key in keys], 0.0, ended)

    def _send(self, steps: list[Step], seconds: float, ended: int) -> None:
        decoder = self._decoder
        self._channel.send(Steps(steps, seconds, decoder.running, decoder.used_tokens, ended))
