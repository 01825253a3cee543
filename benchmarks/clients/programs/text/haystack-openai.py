import json
import sys

from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret

url, model, way = sys.argv[1:]
asked = json.load(sys.stdin)
generator = OpenAIChatGenerator(
    api_key=Secret.from_token("none"),
    model=model,
    api_base_url=f"{url}/v1",
    generation_kwargs={"max_tokens": asked["tokens"], "temperature": 0},
)


def answer(*messages):
    pieces = []
    callback = (lambda chunk: pieces.append(chunk.content)) if way == "stream" else None
    (reply,) = generator.run(list(messages), streaming_callback=callback)["replies"]
    assert not pieces or "".join(pieces) == reply.text
    usage = reply.meta.get("usage")
    counts = [usage["prompt_tokens"], usage["completion_tokens"]] if usage else None
    return {"pieces": pieces or [reply.text], "usage": counts}


questions = [ChatMessage.from_user(question) for question in asked["questions"]]
if way == "turns":
    first, second = questions
    answers = [answer(first, *generator.run([first])["replies"], second)]
else:
    answers = [answer(question) for question in questions]
print(json.dumps(answers))
