import OpenAI from "openai";
import { json } from "node:stream/consumers";

const [url, model, way] = process.argv.slice(2);
const { questions, tokens } = await json(process.stdin);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const options = { model, max_tokens: tokens, temperature: 0 };
const counts = (usage) => usage && [usage.prompt_tokens, usage.completion_tokens];

const ways = {
  async whole(messages) {
    const found = await client.chat.completions.create({ messages, ...options });
    return { pieces: [found.choices[0].message.content], usage: counts(found.usage) };
  },
  async turns(first, second) {
    const found = await client.chat.completions.create({ messages: first, ...options });
    return ways.whole([...first, found.choices[0].message, ...second]);
  },
  async stream(messages, more) {
    const pieces = [];
    let usage;
    for await (const chunk of await client.chat.completions.create({ messages, stream: true, ...options, ...more })) {
      if (chunk.choices.length) pieces.push(chunk.choices[0].delta.content ?? "");
      usage = counts(chunk.usage);
    }
    return { pieces, usage };
  },
  "stream with usage": (messages) => ways.stream(messages, { stream_options: { include_usage: true } }),
  async "stream()"(messages) {
    const pieces = [];
    const stream = client.chat.completions.stream({ messages, ...options }).on("content", (piece) => pieces.push(piece));
    const found = await stream.finalChatCompletion();
    if (found.choices[0].message.content !== pieces.join("")) throw new Error("the end is not its pieces");
    return { pieces };
  },
  async completions(messages) {
    const found = await client.completions.create({ prompt: messages[0].content, ...options });
    return { pieces: [found.choices[0].text], usage: counts(found.usage) };
  },
};

const said = questions.map((content) => [{ role: "user", content }]);
const answers = [];
if (way === "turns") answers.push(await ways.turns(...said));
else for (const messages of said) answers.push(await ways[way](messages));
console.log(JSON.stringify(answers));
