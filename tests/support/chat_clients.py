"""The clients that people have for chats, unchanged: each asks one question at a URL, greedy, and returns the answer's text."""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
from huggingface_hub import AsyncInferenceClient, InferenceClient

SECONDS = 60.0  # that one answer may take


class Question:
    """What is asked of whom."""

    def __init__(self, url: str, model: str, text: str, tokens: int) -> None:
        self.url, self.model, self.text = url, model, text
        self.messages: Any = [{"role": "user", "content": text}]
        self.greedy: dict[str, Any] = {"max_tokens": tokens, "temperature": 0}

    @property
    def openai(self) -> dict[str, Any]:
        """Return what a client of OpenAI's is made with."""
        return {"base_url": f"{self.url}/v1", "api_key": "none", "max_retries": 0, "timeout": SECONDS}


def _openai(question: Question, *, stream: bool) -> str:
    with openai.OpenAI(**question.openai) as client:
        create: Any = client.chat.completions.create
        asked = {"model": question.model, "messages": question.messages, **question.greedy}
        if not stream:
            return str(create(**asked).choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in create(**asked, stream=True))


async def _openai_async(question: Question, *, stream: bool) -> str:
    async with openai.AsyncOpenAI(**question.openai) as client:
        create: Any = client.chat.completions.create
        asked = {"model": question.model, "messages": question.messages, **question.greedy}
        if not stream:
            return str((await create(**asked)).choices[0].message.content)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in await create(**asked, stream=True)])


def _hub(question: Question, *, stream: bool) -> str:
    client: Any = InferenceClient(question.url, timeout=SECONDS)
    found = client.chat_completion(question.messages, stream=stream, **question.greedy)
    if not stream:
        return str(found.choices[0].message.content)
    return "".join(chunk.choices[0].delta.content or "" for chunk in found)


async def _hub_async(question: Question) -> str:
    async with AsyncInferenceClient(question.url, timeout=SECONDS) as client:
        found: Any = await client.chat_completion(question.messages, **question.greedy)
        return str(found.choices[0].message.content)


def _langchain(question: Question) -> Any:
    from langchain_openai import ChatOpenAI  # here: it takes seconds, and each worker of the tests looks at this file

    return ChatOpenAI(model=question.model, **question.openai, **question.greedy)


async def _langchain_async(question: Question) -> str:
    chat = _langchain(question)
    try:
        return str((await chat.ainvoke(question.text)).content)
    finally:
        await chat.root_async_client.close()  # its connections are of this loop, which ends here


def _langchain_stream(question: Question) -> str:
    return "".join(chunk.content for chunk in _langchain(question).stream(question.text))


LANGCHAIN: dict[str, Callable[[Question], str]] = {
    "ChatOpenAI": lambda question: str(_langchain(question).invoke(question.text).content),
    "ChatOpenAI, stream": _langchain_stream,
    "ChatOpenAI, async": lambda question: asyncio.run(_langchain_async(question)),
}
CLIENTS: dict[str, Callable[[Question], str]] = {
    "openai": lambda question: _openai(question, stream=False),
    "openai, stream": lambda question: _openai(question, stream=True),
    "openai, async": lambda question: asyncio.run(_openai_async(question, stream=False)),
    "openai, async stream": lambda question: asyncio.run(_openai_async(question, stream=True)),
    "huggingface_hub": lambda question: _hub(question, stream=False),
    "huggingface_hub, stream": lambda question: _hub(question, stream=True),
    "huggingface_hub, async": lambda question: asyncio.run(_hub_async(question)),
    **LANGCHAIN,
}
