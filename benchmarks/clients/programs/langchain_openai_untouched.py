import json
import sys

from langchain_openai import OpenAIEmbeddings

url, model = sys.argv[1:]
embeddings = OpenAIEmbeddings(model=model, base_url=f"{url}/v1", api_key="none")
print(json.dumps(embeddings.embed_documents(json.load(sys.stdin))))
