import json
import sys

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

url, model, way = sys.argv[1:]
asked = json.load(sys.stdin)
options = {} if "complete" in way else {"is_chat_model": True}  # without it, chats are written into a prompt
like = OpenAILike(model=model, api_base=f"{url}/v1", api_key="none", temperature=0, max_tokens=asked["tokens"], **options)


def chat(messages):
    found = like.chat(messages)
    usage = found.raw.usage
    return {"pieces": [found.message.content], "usage": [usage.prompt_tokens, usage.completion_tokens]}


def turns(first, second):
    return chat([ChatMessage(content=first), like.chat([ChatMessage(content=first)]).message, ChatMessage(content=second)])


def answer(question):
    match way:
        case "chat":
            return chat([ChatMessage(content=question)])
        case "stream_chat":
            found = like.stream_chat([ChatMessage(content=question)])
        case "complete":
            return {"pieces": [like.complete(question).text], "usage": None}
        case _:
            found = like.stream_complete(question)
    return {"pieces": [chunk.delta or "" for chunk in found], "usage": None}


questions = asked["questions"]
print(json.dumps([turns(*questions)] if way == "turns" else [answer(question) for question in questions]))
