import asyncio
import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch prices, for ten seconds where there is no network

import litellm

url, model, way = sys.argv[1:]
asked = json.load(sys.stdin)
options = {"api_base": f"{url}/v1", "api_key": "none", "max_tokens": asked["tokens"], "temperature": 0}
chat, text = f"openai/{model}", f"text-completion-openai/{model}"


def messages(question):
    return [{"role": "user", "content": question}]


def whole(found):
    usage = [found.usage.prompt_tokens, found.usage.completion_tokens]
    choice = found.choices[0]
    return {"pieces": [choice.text if way == "completions" else choice.message.content], "usage": usage}


def stream(question):
    chunks = litellm.completion(model=chat, messages=messages(question), stream=True, **options)
    return {"pieces": [chunk.choices[0].delta.content or "" for chunk in chunks], "usage": None}


async def asynchronous(questions):
    calls = [litellm.acompletion(model=chat, messages=messages(question), **options) for question in questions]
    return [whole(found) for found in await asyncio.gather(*calls)]


questions = asked["questions"]
match way:
    case "whole":
        found = [whole(litellm.completion(model=chat, messages=messages(question), **options)) for question in questions]
    case "turns":
        first, second = map(messages, questions)
        reply = litellm.completion(model=chat, messages=first, **options).choices[0].message
        found = [whole(litellm.completion(model=chat, messages=[*first, reply, *second], **options))]
    case "stream":
        found = [stream(question) for question in questions]
    case "async":
        found = asyncio.run(asynchronous(questions))
    case _:
        found = [whole(litellm.text_completion(model=text, prompt=question, **options)) for question in questions]
print(json.dumps(found))
