import { OpenAIEmbeddings } from "@langchain/openai";
import { text } from "node:stream/consumers";

const [url, model] = process.argv.slice(2);
const embeddings = new OpenAIEmbeddings({ model, apiKey: "none", configuration: { baseURL: `${url}/v1` } });
console.log(JSON.stringify(await embeddings.embedDocuments(JSON.parse(await text(process.stdin)))));
