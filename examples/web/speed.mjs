// node examples/web/speed.mjs [MODEL]: characters a second with each module, names-i8 unless given.
import { readFileSync } from "node:fs";
import { Model } from "./charlet.js";

const SECONDS = 3;
const file = readFileSync(process.argv[2] ?? new URL("../../models/names/names-i8.charlet", import.meta.url));

for (const name of ["charlet-simd.wasm", "charlet.wasm"]) {
  const model = await Model.fromBytes(file, { wasm: readFileSync(new URL(name, import.meta.url)) });
  const session = model.session({ seed: 1, temperature: 0.8 });
  const write = (until) => {
    let steps = 0;
    for (; performance.now() < until; steps++) if (session.next() === null) session.start();
    return steps;
  };
  // The engine compiles it anew while it runs.
  write(performance.now() + 500);
  const steps = write(performance.now() + 1000 * SECONDS);
  console.log(`${name}: ${Math.round(steps / SECONDS).toLocaleString("en")} characters/s`);
}
