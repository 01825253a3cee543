import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { json } from "node:stream/consumers";

const [url, name, way] = process.argv.slice(2);
const { questions, tokens } = await json(process.stdin);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const compatible = createOpenAICompatible({ name: "pinion", baseURL: `${url}/v1` });
const [made, call] = way.split(" ");
const model = { openai, "openai.chat": openai.chat, compatible }[made](name);

const counts = ({ inputTokens, outputTokens }) => (inputTokens === undefined ? null : [inputTokens, outputTokens]);
const onError = ({ error }) => {
  throw error;
};

async function answer(messages) {
  const options = { model, messages, temperature: 0, maxOutputTokens: tokens };
  if (call !== "streamText") {
    const { text, usage, response } = await generateText(options);
    return { pieces: [text], usage: counts(usage), said: response.messages };
  }
  const found = streamText({ ...options, onError });
  const pieces = [];
  for await (const piece of found.textStream) pieces.push(piece);
  return { pieces, usage: counts(await found.usage) };
}

const asked = questions.map((content) => [{ role: "user", content }]);
const answers = [];
if (call === "turns") answers.push(await answer([...asked[0], ...(await answer(asked[0])).said, ...asked[1]]));
else for (const messages of asked) answers.push(await answer(messages));
console.log(JSON.stringify(answers));
