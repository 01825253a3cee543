import { createOpenAI } from "@ai-sdk/openai";
import { embedMany } from "ai";
import { text } from "node:stream/consumers";

const [url, model] = process.argv.slice(2);
const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const answer = await embedMany({ model: provider.embedding(model), values: JSON.parse(await text(process.stdin)) });
console.log(JSON.stringify(answer.embeddings));
