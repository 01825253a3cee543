import json
import sys

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

url, model, way = sys.argv[1:]
asked = json.load(sys.stdin)
questions = asked["questions"]
options = {"stream_usage": True} if way == "stream with usage" else {}
chat = ChatOpenAI(model=model, base_url=f"{url}/v1", api_key="none", temperature=0, max_tokens=asked["tokens"], **options)


def answer(pieces, usage):
    return {"pieces": pieces, "usage": usage and [usage["input_tokens"], usage["output_tokens"]]}


def stream(question):
    chunks = list(chat.stream(question))
    usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    return answer([chunk.content for chunk in chunks], usage[-1] if usage else None)


def whole(message):
    return answer([message.content], message.usage_metadata)


match way:
    case "invoke":
        found = [whole(chat.invoke(question)) for question in questions]
    case "turns":
        first, second = questions
        found = [whole(chat.invoke([HumanMessage(first), chat.invoke(first), HumanMessage(second)]))]
    case "batch":
        found = [whole(message) for message in chat.batch(questions)]
    case _:
        found = [stream(question) for question in questions]
print(json.dumps(found))
