/** Whether this engine has SIMD, so that `charlet-simd.wasm` is what runs. */
export const hasSimd: boolean;

/** What the runtime refuses: its sentence, and its number in charlet.h, if it has one. */
export class CharletError extends Error {
  readonly code: number | undefined;
}

/** What a model says of itself. */
export interface ModelInfo {
  /** Tokens: characters, then marks. */
  readonly vocabSize: number;
  /** The token that is fed before a text's first character. */
  readonly start: number;
  /** The mark that ends a text: models of running text have none. */
  readonly end: number | null;
  /** The mark for characters that the model doesn't know. */
  readonly unknown: number | null;
  readonly embeddingSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** 32 (single precision), 8 or 4. */
  readonly weightBits: number;
  /** Models with the same are the same. */
  readonly checksum: number;
  readonly fileSize: number;
  /** Bytes that a session takes here. */
  readonly sessionSize: number;
  /** Bytes of `Saved.position`. */
  readonly savedSize: number;
}

export interface LoadOptions {
  /** The WebAssembly module, as bytes or compiled. By default it is the file beside charlet.js. */
  wasm?: WebAssembly.Module | BufferSource;
}

export interface SamplingOptions {
  /** A whole number below 2^64. By default it is a random one. */
  seed?: number | bigint;
  /** 1 is the model's own distribution, less is more careful, 0 is always the most probable character. By default 0.8. */
  temperature?: number;
  /** Only so many of the most probable; 0 (the default) for all. */
  topK?: number;
  /** Only the fewest that make up this share of the probability; 1 (the default) for all. */
  topP?: number;
}

export interface CompressionOptions {
  /** 8 more bits, which tell a damaged message from a whole one. Both sides must agree. By default there are none. */
  check?: boolean;
}

/** A place in a text, as plain data: structuredClone, postMessage and IndexedDB take it. */
export interface Saved {
  /** What the chips save: the model's checksum, the next token, h and c. */
  position: Uint8Array;
  /** The random numbers to come. Without them the session's own go on. */
  random?: Uint32Array;
}

/** A checked model, in memory of its own. */
export class Model {
  private constructor();
  /** Checks a model file and copies it. Any bytes are safe: a damaged file is a CharletError. */
  static fromBytes(bytes: Uint8Array | ArrayBuffer, options?: LoadOptions): Promise<Model>;
  readonly info: ModelInfo;
  /** The character of each token; null for marks. */
  readonly chars: readonly (string | null)[];
  /** The token of a character, or the mark for those that the model doesn't know. */
  token(char: string): number;
  /** A session at the start of a text. */
  session(options?: SamplingOptions): Session;
}

/** A text on its way. */
export interface Session {
  readonly model: Model;
  readonly options: Readonly<Required<SamplingOptions>>;
  /** Changes what is given. A seed starts the random numbers anew. */
  configure(options: SamplingOptions): this;
  /** Starts a new text. */
  start(): this;
  /** Appends characters that the model shall continue. If it doesn't know one, none was appended. */
  prompt(text: string): this;
  /** Makes a character, or null where the model ends the text: the next call then starts a new one. */
  next(): string | null;
  /** Makes characters, to the end of the text or so many. Models of running text don't end by themselves. */
  generate(maxChars?: number): Generator<string, void, undefined>;
  /** The next characters in the model's own distribution (temperature 1), most probable first; a null ends the text. */
  probabilities(): { char: string | null; token: number; probability: number }[];
  /**
   * Feeds a token or character in place of the next input, and gives the logits of what follows. It stays the next
   * input: feed the one that follows too, or name it with `setNext`, before `next` goes on.
   */
  step(token: number | string): Float32Array;
  /** Names the token that is fed next. */
  setNext(token: number | string): this;
  /** h and c of every layer, a value of each for every hidden unit. */
  layers(): { h: Float32Array; c: Float32Array }[];
  save(): Saved;
  /** Goes on from a saved place of the same model. */
  restore(saved: Saved): this;
  /** Another session at the same place, with the same options and random numbers. */
  fork(): Session;
  /** What a whole text costs, its end included if the model marks it. The session's own text stays. */
  score(text: string): { bits: number; bitsPerChar: number };
  /** Compresses any text, to at most one byte more than its UTF-8, and one for the check. The session's own text stays. */
  compress(text: string, options?: CompressionOptions): Uint8Array;
  /** Reads a message of the same model. A text of more than `maxBytes` (65536 by default) is an error. */
  decompress(message: Uint8Array, options?: CompressionOptions & { maxBytes?: number }): string;
  /** Gives the memory back at once. Without it the garbage collector does. */
  free(): void;
}
