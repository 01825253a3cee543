import { InferenceClient } from "@huggingface/inference";
import { text } from "node:stream/consumers";

const [url] = process.argv.slice(2);
const client = new InferenceClient("", { endpointUrl: url });
const answer = await client.featureExtraction({ inputs: JSON.parse(await text(process.stdin)) });
console.log(JSON.stringify(answer));
