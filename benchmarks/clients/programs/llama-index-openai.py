import json
import sys

from llama_index.embeddings.openai_like import OpenAILikeEmbedding

url, model = sys.argv[1:]
embeddings = OpenAILikeEmbedding(model_name=model, api_base=f"{url}/v1", api_key="none")
print(json.dumps(embeddings.get_text_embedding_batch(json.load(sys.stdin))))
