"""Each client once, with its own defaults, against `pinion-serve`: `python -m benchmarks.clients [NAME ...]`.

A client gets an environment of its own, which goes when it has been asked. Printed is a table of what came: the vectors of
`/v1/embeddings` as bare JSON, or something else.
"""

import argparse
import json
import subprocess
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.hubmirror.models import MINILM, assemble

from ..serving.servers import pinion
from .installing import Install, NotInstalled, go, java, node, python

TEXTS = ["A kettle of water is on the stove.", "", "水壶在炉子上。", "The teapot is being filled."]
THOUSAND = [f"{'word ' * 147}{number}" for number in range(1000)]  # of 150 tokens
TOLERANCE = 1e-6
COMPARED = 4  # of the texts, however many there are
ANSWER_SECONDS = 600
_LONGEST = 400  # characters of a refusal


@dataclass(frozen=True)
class Client:
    """What is tried."""

    name: str
    versions: str
    install: Install
    texts: list[str]


OPENAI = "openai==3.57.0"
LANGCHAIN = "langchain-openai==1.7.4"
LITELLM = "litellm==1.110.2"
LLAMA = "llama-index-embeddings-openai-like==0.4.0"
LLAMA_TEI = "llama-index-embeddings-text-embeddings-inference==0.6.0"
HUB = "huggingface-hub==2.4.0"
LANGCHAIN_HUB = "langchain-huggingface==1.2.3"
HAYSTACK = "haystack-ai==3.4.1"
HAYSTACK_HUB = "huggingface-api-haystack==3.1.0"
AI_SDK = ("ai@7.0.173", "@ai-sdk/openai@4.0.118")

CLIENTS = (
    Client("openai (Python)", OPENAI, python("openai-python.py", OPENAI), TEXTS),
    Client("huggingface_hub InferenceClient", HUB, python("huggingface-hub-python.py", HUB, "numpy"), TEXTS),
    Client("LangChain OpenAIEmbeddings", LANGCHAIN, python("langchain-openai-untouched.py", LANGCHAIN, LITELLM), TEXTS),
    Client("the same, check_embedding_ctx_length=False", LANGCHAIN, python("langchain-openai-texts.py", LANGCHAIN), TEXTS),
    Client("the same, 1,000 texts of 150 tokens", LANGCHAIN, python("langchain-openai-texts.py", LANGCHAIN), THOUSAND),
    Client("LangChain HuggingFaceEndpointEmbeddings", LANGCHAIN_HUB, python("langchain-huggingface.py", LANGCHAIN_HUB), TEXTS),
    Client("LlamaIndex OpenAILikeEmbedding", LLAMA, python("llama-index-openai.py", LLAMA), TEXTS),
    Client("LlamaIndex TextEmbeddingsInference", LLAMA_TEI, python("llama-index-tei.py", LLAMA_TEI), TEXTS),
    Client("Haystack OpenAIDocumentEmbedder", HAYSTACK, python("haystack-openai.py", HAYSTACK), TEXTS),
    Client(
        "Haystack HuggingFaceAPIDocumentEmbedder",
        f"{HAYSTACK}, {HAYSTACK_HUB}",
        python("haystack-tei.py", HAYSTACK, HAYSTACK_HUB),
        TEXTS,
    ),
    Client("litellm", LITELLM, python("litellm-openai.py", LITELLM), TEXTS),
    Client("openai (JavaScript)", "openai@7.59.0", node("openai-js.mjs", "openai@7.59.0"), TEXTS),
    Client("Vercel AI SDK", ", ".join(AI_SDK), node("ai-sdk.mjs", *AI_SDK), TEXTS),
    Client(
        "@huggingface/inference",
        "@huggingface/inference@4.13.30",
        node("huggingface-js.mjs", "@huggingface/inference@4.13.30"),
        TEXTS,
    ),
    Client("java.net.http", "of the JDK", java("JavaNet"), TEXTS),
    Client("openai-java", "4.101.0", java("OpenAiJava"), TEXTS),
    Client("openai-go", "v3.98.0", go(), TEXTS),
)


def try_client(client: Client, url: str) -> str:
    """Return what came of asking with this client, in words."""
    with tempfile.TemporaryDirectory(prefix="client-") as folder:
        try:
            command = client.install(Path(folder))
        except NotInstalled as why:
            return f"not tried: {why}"
        try:
            done = subprocess.run(
                [*command, url, MINILM], input=json.dumps(client.texts), capture_output=True, text=True, timeout=ANSWER_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {ANSWER_SECONDS} s"
    if done.returncode:
        return f"refused: {done.stderr.strip().splitlines()[-1][:_LONGEST]}"
    found = json.loads(done.stdout.splitlines()[-1])
    if isinstance(found, dict):
        found = [entry["embedding"] for entry in found["data"]]
    if len(found) != len(client.texts):
        return f"WRONG: {len(found)} vectors of {len(client.texts)} texts"
    expected = bare(url, client.texts[:COMPARED])
    pairs = zip(found[:COMPARED], expected, strict=True)
    far = max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))
    return "the same vectors" if far < TOLERANCE else f"WRONG: vectors differ by {far}"


def bare(url: str, texts: list[str]) -> list[list[float]]:
    """Ask without a client."""
    body = json.dumps({"model": MINILM, "input": texts}).encode()
    with urllib.request.urlopen(f"{url}/v1/embeddings", body, ANSWER_SECONDS) as answer:
        entries: list[dict[str, Any]] = json.load(answer)["data"]
    return [entry["embedding"] for entry in entries]


def main() -> None:
    """Try those that were named, or all of them, and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of a client's name; default all")
    names = parser.parse_args().names
    print("| client | version | with its own defaults |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        assemble(Path(work) / "hub")
        with pinion(Path(work)) as endpoint:
            for client in CLIENTS:
                if not names or any(name.lower() in client.name.lower() for name in names):
                    print(f"| {client.name} | {client.versions} | {try_client(client, endpoint.url)} |", flush=True)


if __name__ == "__main__":
    main()
