import json
import sys

from langchain_openai import OpenAI

url, model, way = sys.argv[1:]
asked = json.load(sys.stdin)
questions = asked["questions"]
language_model = OpenAI(model=model, base_url=f"{url}/v1", api_key="none", temperature=0, max_tokens=asked["tokens"])
match way:
    case "invoke":
        found = [[language_model.invoke(question)] for question in questions]
    case "batch":
        found = [[text] for text in language_model.batch(questions)]
    case _:
        found = [list(language_model.stream(question)) for question in questions]
print(json.dumps([{"pieces": pieces, "usage": None} for pieces in found]))
