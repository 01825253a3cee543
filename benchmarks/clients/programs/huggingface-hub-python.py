import json
import sys

from huggingface_hub import InferenceClient

url, _ = sys.argv[1:]
print(json.dumps(InferenceClient(url).feature_extraction(json.load(sys.stdin)).tolist()))
