"""The clients that are tried, their versions, and the texts that each of them is given."""

import re
from dataclasses import dataclass

from .installing import Install, go, java, node, python

TEXTS = ["A kettle of water is on the stove.", "", "水壶在炉子上。", "The teapot is being filled."]
THOUSAND = [f"{'word ' * 147}{number}" for number in range(1000)]  # of 150 tokens


@dataclass(frozen=True)
class Client:
    """What is tried; without packages it belongs to the JDK."""

    name: str
    packages: tuple[str, ...]  # as pip or npm takes them
    install: Install
    texts: list[str]

    @property
    def versions(self) -> str:
        """Each package and its version, as the table has them."""
        return ", ".join(re.sub(r"==|(?<=\w)@", " ", package) for package in self.packages)


def _python(name: str, program: str, *packages: str, texts: list[str] = TEXTS, with_: tuple[str, ...] = ()) -> Client:
    return Client(name, packages, python(program, *packages, *with_), texts)


def _node(name: str, program: str, *packages: str) -> Client:
    return Client(name, packages, node(program, *packages), TEXTS)


_LANGCHAIN = "langchain-openai==1.7.4"
_LITELLM = "litellm==1.110.2"
_HAYSTACK = "haystack-ai==3.4.1"
_NUMPY = ("numpy",)  # huggingface_hub makes arrays of vectors, and asks for it when they have come

CLIENTS = (
    _python("openai (Python)", "openai-python.py", "openai==3.57.0"),
    _python("huggingface_hub InferenceClient", "huggingface-hub-python.py", "huggingface-hub==2.4.0", with_=_NUMPY),
    _python("LangChain OpenAIEmbeddings", "langchain-openai-untouched.py", _LANGCHAIN, with_=(_LITELLM,)),
    _python("the same, check_embedding_ctx_length=False", "langchain-openai-texts.py", _LANGCHAIN),
    _python("the same, 1,000 texts of 150 tokens", "langchain-openai-texts.py", _LANGCHAIN, texts=THOUSAND),
    _python(
        "LangChain HuggingFaceEndpointEmbeddings", "langchain-huggingface.py", "langchain-huggingface==1.2.3", with_=_NUMPY
    ),
    _python("LlamaIndex OpenAILikeEmbedding", "llama-index-openai.py", "llama-index-embeddings-openai-like==0.4.0"),
    _python(
        "LlamaIndex TextEmbeddingsInference",
        "llama-index-tei.py",
        "llama-index-embeddings-text-embeddings-inference==0.6.0",
    ),
    _python("Haystack OpenAIDocumentEmbedder", "haystack-openai.py", _HAYSTACK),
    _python("Haystack HuggingFaceAPIDocumentEmbedder", "haystack-tei.py", _HAYSTACK, "huggingface-api-haystack==3.1.0"),
    _python("litellm", "litellm-openai.py", _LITELLM),
    _node("openai (JavaScript)", "openai-js.mjs", "openai@7.59.0"),
    _node("Vercel AI SDK", "ai-sdk.mjs", "ai@7.0.173", "@ai-sdk/openai@4.0.118"),
    _node("the same, openai-compatible", "ai-sdk-compatible.mjs", "ai@7.0.173", "@ai-sdk/openai-compatible@3.0.92"),
    _node("LangChain.js OpenAIEmbeddings", "langchain-js.mjs", "@langchain/openai@1.6.0", "@langchain/core@1.4.0"),
    _node("@huggingface/inference", "huggingface-js.mjs", "@huggingface/inference@4.13.30"),
    Client("java.net.http", (), java("JavaNet"), TEXTS),
    Client("openai-java", ("openai-java@4.101.0",), java("OpenAiJava"), TEXTS),
    Client(
        "LangChain4j OpenAiEmbeddingModel",
        ("langchain4j-open-ai@1.19.0",),
        java("LangChain4j"),
        [text for text in TEXTS if text],  # it takes no empty one
    ),
    Client("openai-go", ("openai-go@v3.98.0",), go(), TEXTS),
)
