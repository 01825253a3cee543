import asyncio
import json
import sys

from openai import AsyncOpenAI, OpenAI

url, model, way = sys.argv[1:]
asked = json.load(sys.stdin)
options = {"model": model, "max_tokens": asked["tokens"], "temperature": 0}
client = OpenAI(base_url=f"{url}/v1", api_key="none")


def messages(question):
    return [{"role": "user", "content": question}]


def answer(pieces, usage=None):
    return {"pieces": pieces, "usage": usage and [usage.prompt_tokens, usage.completion_tokens]}


def whole(question):
    found = client.chat.completions.create(messages=messages(question), **options)
    return answer([found.choices[0].message.content], found.usage)


def turns(first, second):
    said = messages(first)
    said.append(client.chat.completions.create(messages=said, **options).choices[0].message)
    found = client.chat.completions.create(messages=said + messages(second), **options)
    return answer([found.choices[0].message.content], found.usage)


def stream(question, **more):
    chunks = list(client.chat.completions.create(messages=messages(question), stream=True, **options, **more))
    return answer([chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices], chunks[-1].usage)


def stream_with_usage(question):
    return stream(question, stream_options={"include_usage": True})


def completions(question):
    found = client.completions.create(prompt=question, **options)
    return answer([found.choices[0].text], found.usage)


def completions_stream(question):
    chunks = client.completions.create(prompt=question, stream=True, **options)
    return answer([chunk.choices[0].text for chunk in chunks])


async def many(questions):
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

        async def ask(question):
            found = await client.chat.completions.create(messages=messages(question), **options)
            return answer([found.choices[0].message.content], found.usage)

        return await asyncio.gather(*map(ask, questions))


async def many_streams(questions):
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

        async def ask(question):
            chunks = await client.chat.completions.create(messages=messages(question), stream=True, **options)
            return answer([chunk.choices[0].delta.content or "" async for chunk in chunks])

        return await asyncio.gather(*map(ask, questions))


ONE = {
    "whole": whole,
    "stream": stream,
    "stream with usage": stream_with_usage,
    "completions": completions,
    "completions stream": completions_stream,
}
MANY = {"async": many, "async stream": many_streams}
questions = asked["questions"]
if way == "turns":
    answers = [turns(*questions)]
else:
    answers = [ONE[way](question) for question in questions] if way in ONE else asyncio.run(MANY[way](questions))
print(json.dumps(answers))
