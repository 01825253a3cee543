"""The clients that are asked for vectors, their versions, and the texts that each of them is given."""

from dataclasses import dataclass

from .installing import Installed, go, java, node, python
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

TEXTS = ["A kettle of water is on the stove.", "", "水壶在炉子上。", "The teapot is being filled."]
THOUSAND = [f"{'word ' * 147}{number}" for number in range(1000)]  # of 150 tokens


@dataclass(frozen=True)
class Client(Installed):
    """What is tried."""

    texts: list[str]


def _python(name: str, program: str, *packages: str, texts: list[str] = TEXTS, with_: tuple[str, ...] = ()) -> Client:
    return Client(name, packages, python(program, *packages, *with_), texts)


def _node(name: str, program: str, *packages: str) -> Client:
    return Client(name, packages, node(program, *packages), TEXTS)


_NUMPY = ("numpy",)  # huggingface_hub makes arrays of vectors, and asks for it when they have come

VECTOR_CLIENTS = (
    _python("openai (Python)", "openai-python.py", OPENAI),
    _python("huggingface_hub InferenceClient", "huggingface-hub-python.py", HUGGINGFACE_HUB, with_=_NUMPY),
    _python("LangChain OpenAIEmbeddings", "langchain-openai-untouched.py", LANGCHAIN, with_=(LITELLM,)),
    _python("the same, check_embedding_ctx_length=False", "langchain-openai-texts.py", LANGCHAIN),
    _python("the same, 1,000 texts of 150 tokens", "langchain-openai-texts.py", LANGCHAIN, texts=THOUSAND),
    _python(
        "LangChain HuggingFaceEndpointEmbeddings", "langchain-huggingface.py", "langchain-huggingface==1.2.3", with_=_NUMPY
    ),
    _python("LlamaIndex OpenAILikeEmbedding", "llama-index-openai.py", "llama-index-embeddings-openai-like==0.4.0"),
    _python(
        "LlamaIndex TextEmbeddingsInference",
        "llama-index-tei.py",
        "llama-index-embeddings-text-embeddings-inference==0.6.0",
    ),
    _python("Haystack OpenAIDocumentEmbedder", "haystack-openai.py", HAYSTACK),
    _python("Haystack HuggingFaceAPIDocumentEmbedder", "haystack-tei.py", HAYSTACK, "huggingface-api-haystack==3.1.0"),
    _python("litellm", "litellm-openai.py", LITELLM),
    _node("openai (JavaScript)", "openai-js.mjs", OPENAI_JS),
    _node("Vercel AI SDK", "ai-sdk.mjs", AI_SDK, AI_SDK_OPENAI),
    _node("the same, openai-compatible", "ai-sdk-compatible.mjs", AI_SDK, AI_SDK_COMPATIBLE),
    _node("LangChain.js OpenAIEmbeddings", "langchain-js.mjs", *LANGCHAIN_JS),
    _node("@huggingface/inference", "huggingface-js.mjs", HUGGINGFACE_JS),
    Client("java.net.http", (), java("JavaNet"), TEXTS),
    Client("openai-java", (OPENAI_JAVA,), java("OpenAiJava"), TEXTS),
    Client(
        "LangChain4j OpenAiEmbeddingModel",
        (LANGCHAIN4J,),
        java("LangChain4j"),
        [text for text in TEXTS if text],  # it takes no empty one
    ),
    Client("openai-go", ("openai-go@v3.98.0",), go(), TEXTS),
)
