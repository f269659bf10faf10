// Prints the hashes that a WebAssembly module computes: node check.mjs web_example.wasm
import { readFile } from "node:fs/promises";

const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]));
const { float_hash, integer_hash } = instance.exports;
const hashes = [float_hash(), integer_hash()];
console.log(hashes.map((hash) => BigInt.asUintN(64, hash).toString(16).padStart(16, "0")).join(" "));
