import json
import sys

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

url, model = sys.argv[1:]
embeddings = TextEmbeddingsInference(model_name=model, base_url=url)
print(json.dumps(embeddings.get_text_embedding_batch(json.load(sys.stdin))))
