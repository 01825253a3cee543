import json
import sys

from huggingface_hub import InferenceClient

url, _, way = sys.argv[1:]
asked = json.load(sys.stdin)
client = InferenceClient(url)


options = {"max_tokens": asked["tokens"], "temperature": 0}


def whole(messages):
    found = client.chat_completion(messages, **options)
    usage = [found.usage.prompt_tokens, found.usage.completion_tokens]
    return {"pieces": [found.choices[0].message.content], "usage": usage}


def stream(messages):
    chunks = client.chat_completion(messages, stream=True, **options)
    return {"pieces": [chunk.choices[0].delta.content or "" for chunk in chunks], "usage": None}


said = [[{"role": "user", "content": question}] for question in asked["questions"]]
if way == "turns":
    first, second = said
    answers = [whole([*first, client.chat_completion(first, **options).choices[0].message, *second])]
else:
    answers = [{"whole": whole, "stream": stream}[way](messages) for messages in said]
print(json.dumps(answers))
