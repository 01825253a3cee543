import json
import sys

from langchain_openai import OpenAIEmbeddings

url, model = sys.argv[1:]
# Without check_embedding_ctx_length=False it sends token ids of OpenAI's own tokenizer.
embeddings = OpenAIEmbeddings(model=model, base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False)
print(json.dumps(embeddings.embed_documents(json.load(sys.stdin))))
