// Finds the WebAssembly module: beside this file, or in bytes that are given.

/** Whether this engine has SIMD: it accepts a function that makes a vector and drops it. */
export const hasSimd = WebAssembly.validate(
  // The header, the type () -> (), one function of it, and its body: i32.const 0, i8x16.splat, drop, end.
  Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11),
);

let beside;

/** The module beside this file. It is read and compiled once. */
export function moduleBeside() {
  // Each name is written out: bundlers look for it.
  beside ??= compile(hasSimd ? new URL("./charlet-simd.wasm", import.meta.url) : new URL("./charlet.wasm", import.meta.url));
  // After a failure the next call tries again.
  return beside.catch((error) => {
    beside = undefined;
    throw error;
  });
}

async function compile(url) {
  // Node's fetch knows no files.
  const files = url.protocol === "file:" && globalThis.process?.getBuiltinModule?.("node:fs/promises");
  if (files) return WebAssembly.compile(await files.readFile(url));
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  // Not compileStreaming: it refuses what a server doesn't call application/wasm, and the file is small.
  return WebAssembly.compile(await response.arrayBuffer());
}

/** Instantiates a module: compiled, as bytes, or `undefined` for the one beside this file. */
export async function instantiate(wasm) {
  let module = wasm ?? (await moduleBeside());
  if (!(module instanceof WebAssembly.Module)) module = await WebAssembly.compile(module);
  return (await WebAssembly.instantiate(module)).exports;
}
