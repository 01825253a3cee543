import OpenAI from "openai";
import { text } from "node:stream/consumers";

const [url, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const answer = await client.embeddings.create({ model, input: JSON.parse(await text(process.stdin)) });
console.log(JSON.stringify(answer.data.map((entry) => entry.embedding)));
