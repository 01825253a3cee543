"""The clients that are asked for text, their versions, and the ways in which each of them is asked."""

from dataclasses import dataclass
from typing import Literal

from .installing import Installed, java, node, python
from .versions import (
    AI_SDK,
    AI_SDK_COMPATIBLE,
    AI_SDK_OPENAI,
    HAYSTACK,
    HUGGINGFACE_HUB,
    HUGGINGFACE_JS,
    LANGCHAIN,
    LANGCHAIN4J,
    LANGCHAIN_JS,
    LITELLM,
    OPENAI,
    OPENAI_JAVA,
    OPENAI_JS,
)

Asked = Literal["chat", "turns", "completion"]


@dataclass(frozen=True)
class Way:
    """One way to ask, which a program knows by its name: each question for itself, or the two in turns of one chat."""

    name: str
    asked: Asked
    streams: bool = False


@dataclass(frozen=True)
class TextClient(Installed):
    """What is tried."""

    ways: tuple[Way, ...]


def _chat(*names: str) -> tuple[Way, ...]:
    return tuple(Way(name, "chat", "stream" in name.lower()) for name in names)


def _turns(name: str = "turns") -> tuple[Way, ...]:
    return (Way(name, "turns"),)


def _completions(*names: str) -> tuple[Way, ...]:
    return tuple(Way(name, "completion", "stream" in name) for name in names)


def _python(name: str, program: str, package: str, *ways: tuple[Way, ...]) -> TextClient:
    return TextClient(name, (package,), python(f"text/{program}", package), sum(ways, ()))


def _node(name: str, program: str, packages: tuple[str, ...], *ways: tuple[Way, ...]) -> TextClient:
    return TextClient(name, packages, node(f"text/{program}", *packages), sum(ways, ()))


def _java(name: str, program: str, packages: tuple[str, ...], *ways: tuple[Way, ...]) -> TextClient:
    return TextClient(name, packages, java(f"text.{program}"), sum(ways, ()))


_VERCEL = (AI_SDK, AI_SDK_OPENAI, AI_SDK_COMPATIBLE)

TEXT_CLIENTS = (
    _python(
        "openai (Python)",
        "openai-python.py",
        OPENAI,
        _chat("whole", "stream", "stream with usage", "async", "async stream"),
        _turns(),
        _completions("completions", "completions stream"),
    ),
    _python(
        "huggingface_hub InferenceClient", "huggingface-hub-python.py", HUGGINGFACE_HUB, _chat("whole", "stream"), _turns()
    ),
    _python(
        "LangChain ChatOpenAI",
        "langchain-chat.py",
        LANGCHAIN,
        _chat("invoke", "stream", "stream with usage", "batch"),
        _turns(),
    ),
    _python("LangChain OpenAI", "langchain-completions.py", LANGCHAIN, _completions("invoke", "stream", "batch")),
    _python(
        "LlamaIndex OpenAILike",
        "llama-index-openai.py",
        "llama-index-llms-openai-like==0.8.1",
        _chat("chat", "stream_chat"),
        _turns(),
        _completions("complete", "stream_complete"),
    ),
    _python("Haystack OpenAIChatGenerator", "haystack-openai.py", HAYSTACK, _chat("whole", "stream"), _turns()),
    _python("litellm", "litellm-openai.py", LITELLM, _chat("whole", "stream", "async"), _turns(), _completions("completions")),
    _node(
        "openai (JavaScript)",
        "openai-js.mjs",
        (OPENAI_JS,),
        _chat("whole", "stream", "stream with usage", "stream()"),
        _turns(),
        _completions("completions"),
    ),
    _node(
        "Vercel AI SDK",
        "ai-sdk.mjs",
        _VERCEL,
        _chat("openai generateText", "openai streamText"),
        _chat("openai.chat generateText", "openai.chat streamText"),
        _turns("openai.chat turns"),
        _chat("compatible generateText", "compatible streamText"),
        _turns("compatible turns"),
    ),
    _node("LangChain.js ChatOpenAI", "langchain-js.mjs", LANGCHAIN_JS, _chat("invoke", "stream", "batch"), _turns()),
    _node(
        "@huggingface/inference",
        "huggingface-js.mjs",
        (HUGGINGFACE_JS,),
        _chat("chatCompletion", "chatCompletionStream"),
        _turns(),
    ),
    _java("java.net.http", "JavaNet", (), _chat("whole", "stream")),
    _java("openai-java", "OpenAiJava", (OPENAI_JAVA,), _chat("whole", "stream"), _turns(), _completions("completions")),
    _java("LangChain4j OpenAiChatModel", "LangChain4j", (LANGCHAIN4J,), _chat("whole", "stream"), _turns()),
)
