import { InferenceClient } from "@huggingface/inference";
import { json } from "node:stream/consumers";

const [url, , way] = process.argv.slice(2);
const { questions, tokens } = await json(process.stdin);
const client = new InferenceClient("", { endpointUrl: url });

async function answer(messages) {
  const options = { messages, max_tokens: tokens, temperature: 0 };
  if (way === "chatCompletionStream") {
    const pieces = [];
    for await (const chunk of client.chatCompletionStream(options)) pieces.push(chunk.choices[0].delta.content ?? "");
    return { pieces };
  }
  const { choices, usage } = await client.chatCompletion(options);
  const { message } = choices[0];
  return { pieces: [message.content], usage: [usage.prompt_tokens, usage.completion_tokens], message };
}

const asked = questions.map((content) => [{ role: "user", content }]);
const answers = [];
if (way === "turns") answers.push(await answer([...asked[0], (await answer(asked[0])).message, ...asked[1]]));
else for (const messages of asked) answers.push(await answer(messages));
console.log(JSON.stringify(answers));
