import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany } from "ai";
import { text } from "node:stream/consumers";

const [url, model] = process.argv.slice(2);
const provider = createOpenAICompatible({ name: "pinion", baseURL: `${url}/v1` });
const answer = await embedMany({ model: provider.embeddingModel(model), values: JSON.parse(await text(process.stdin)) });
console.log(JSON.stringify(answer.embeddings));
