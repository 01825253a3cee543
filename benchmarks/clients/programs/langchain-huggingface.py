import json
import sys

from huggingface_hub import InferenceClient
from langchain_huggingface import HuggingFaceEndpointEmbeddings

url, model = sys.argv[1:]
embeddings = HuggingFaceEndpointEmbeddings(model=model, huggingfacehub_api_token="none")
embeddings.client = InferenceClient(url)  # it takes no URL itself
print(json.dumps(embeddings.embed_documents(json.load(sys.stdin))))
