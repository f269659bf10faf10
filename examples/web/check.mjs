// Prints what a WebAssembly module computes: node check.mjs web_example.wasm
import { readFileSync, writeSync } from "node:fs";

const print = (text, len) => writeSync(1, new Uint8Array(instance.exports.memory.buffer, text, len));
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { env: { print } });
process.exitCode = instance.exports.check() ? 0 : 1;
