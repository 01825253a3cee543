import json
import sys

import litellm

url, model = sys.argv[1:]
answer = litellm.embedding(model=f"openai/{model}", api_base=f"{url}/v1", api_key="none", input=json.load(sys.stdin))
print(json.dumps([entry["embedding"] for entry in answer.data]))
