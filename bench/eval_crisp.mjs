// crisp-oss/email-reply-parser for bench/eval_libraries.py: one JSON object {"text"} a line in, one out.
// Run in the folder that holds node_modules.
import readline from "node:readline";

const library = await import(`${process.cwd()}/node_modules/email-reply-parser/dist/emailreplyparser.js`);
const Parser = library.default ?? library.EmailReplyParser;
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { text } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ text: new Parser().parseReply(text) })}\n`);
}
