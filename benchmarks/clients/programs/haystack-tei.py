import json
import sys

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.embedders.huggingface_api import HuggingFaceAPIDocumentEmbedder

url, _ = sys.argv[1:]
embedder = HuggingFaceAPIDocumentEmbedder(
    api_type="text_embeddings_inference", api_params={"url": url}, token=Secret.from_token("none"), progress_bar=False
)
found = embedder.run([Document(content=text) for text in json.load(sys.stdin)])["documents"]
print(json.dumps([document.embedding for document in found]))
