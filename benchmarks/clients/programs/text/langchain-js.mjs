import { ChatOpenAI } from "@langchain/openai";
import { json } from "node:stream/consumers";

const [url, model, way] = process.argv.slice(2);
const { questions, tokens } = await json(process.stdin);
const configuration = { baseURL: `${url}/v1` };
const chat = new ChatOpenAI({ model, apiKey: "none", temperature: 0, maxTokens: tokens, configuration });
const counts = (usage) => usage && [usage.input_tokens, usage.output_tokens];
const whole = (message) => ({ pieces: [message.content], usage: counts(message.usage_metadata) });

async function stream(question) {
  const pieces = [];
  let usage;
  for await (const chunk of await chat.stream(question)) {
    pieces.push(chunk.content);
    usage = counts(chunk.usage_metadata) ?? usage;
  }
  return { pieces, usage };
}

const each = async (ask) => {
  const found = [];
  for (const question of questions) found.push(await ask(question));
  return found;
};
const ways = {
  invoke: () => each(async (question) => whole(await chat.invoke(question))),
  stream: () => each(stream),
  batch: async () => (await chat.batch(questions)).map(whole),
  turns: async () => {
    const [first, second] = questions;
    return [whole(await chat.invoke([["user", first], await chat.invoke(first), ["user", second]]))];
  },
};
const answers = await ways[way]();
console.log(JSON.stringify(answers));
