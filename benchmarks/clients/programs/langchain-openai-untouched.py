import importlib.util
import json
import os
import sys
from pathlib import Path

# tiktoken would fetch the file of OpenAI's tokenizer; litellm brings it along.
litellm = Path(importlib.util.find_spec("litellm").origin).parent
os.environ["TIKTOKEN_CACHE_DIR"] = str(litellm / "litellm_core_utils" / "tokenizers")

from langchain_openai import OpenAIEmbeddings  # noqa: E402 - it reads the variable

url, model = sys.argv[1:]
embeddings = OpenAIEmbeddings(model=model, base_url=f"{url}/v1", api_key="none")
print(json.dumps(embeddings.embed_documents(json.load(sys.stdin))))
