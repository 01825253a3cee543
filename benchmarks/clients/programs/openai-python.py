import json
import sys

from openai import OpenAI

url, model = sys.argv[1:]
client = OpenAI(base_url=f"{url}/v1", api_key="none")
answer = client.embeddings.create(model=model, input=json.load(sys.stdin))
print(json.dumps([entry.embedding for entry in answer.data]))
