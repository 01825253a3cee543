import json
import sys

from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder
from haystack.utils import Secret

url, model = sys.argv[1:]
embedder = OpenAIDocumentEmbedder(api_key=Secret.from_token("none"), model=model, api_base_url=f"{url}/v1", progress_bar=False)
found = embedder.run([Document(content=text) for text in json.load(sys.stdin)])["documents"]
print(json.dumps([document.embedding for document in found]))
