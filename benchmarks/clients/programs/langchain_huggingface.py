import json
import sys

from langchain_huggingface import HuggingFaceEndpointEmbeddings

url, _ = sys.argv[1:]
embeddings = HuggingFaceEndpointEmbeddings(model=url, huggingfacehub_api_token="none")
print(json.dumps(embeddings.embed_documents(json.load(sys.stdin))))
