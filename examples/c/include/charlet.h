/* charlet for C: runs character-level LSTM models, in memory of yours.
 *
 * Made by cbindgen from examples/c/src: edit that, and run
 *     cbindgen --output include/charlet.h
 *
 * Memory: nothing is allocated. Models borrow their bytes, sessions their model and their memory: keep these where
 * they are. There is nothing to free.
 * Errors: a function that can fail returns a charlet_error; charlet_error_text says what it means. A pointer that is
 * NULL is such an error; a pointer to what isn't there is yours to avoid.
 * Threads: there is no global state. A model never changes: any number of threads and sessions may share it. A session,
 * sampler, generator, encoder or decoder is used by one thread at a time.
 * Bits: the same model, seed and settings give the same text on every chip.
 */

#ifndef CHARLET_H
#define CHARLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a session's memory as a constant, never less than charlet_session_size says. Words of state and workspace:
 * the 32-bit numbers at offsets 20 and 24 of the model file. */
#define CHARLET_SESSION_SIZE(state_words, workspace_words) \
    (8 * sizeof(size_t) + 4 * ((size_t)(state_words) + (workspace_words)))

/* There is no character: the text ended, or a token is a mark. */
#define CHARLET_END (-1)

// What memory must start at a multiple of: an array of uint64_t does.
#define CHARLET_ALIGN 8

// Why a call failed. 0 is success; numbers stay what they are.
enum charlet_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Nothing is wrong.
  CHARLET_OK = 0,
  // A pointer is NULL that must not be.
  CHARLET_NULL = 1,
  // What was given was never initialised, or is used up. Only memory of zeros is sure to be noticed.
  CHARLET_NOT_INITIALIZED = 2,
  // The memory does not start at a multiple of CHARLET_ALIGN.
  CHARLET_MISALIGNED = 3,
  // The memory is smaller than charlet_session_size says.
  CHARLET_MEMORY_SIZE = 4,
  // The text is not UTF-8, or the number is no character.
  CHARLET_NOT_UTF8 = 5,
  // A buffer has another length than is needed.
  CHARLET_BUFFER_LENGTH = 6,
  // The buffer is full. Of charlet_decompress it may also mean a damaged message, or one of another model.
  CHARLET_BUFFER_FULL = 7,
  // The first bytes are not those of a model.
  CHARLET_NOT_A_MODEL = 8,
  // The model is shorter than it says.
  CHARLET_TRUNCATED = 9,
  // Bytes follow the end of the model.
  CHARLET_TRAILING_BYTES = 10,
  // The model has a format that this library does not know.
  CHARLET_UNSUPPORTED_VERSION = 11,
  // The checksum does not match.
  CHARLET_CHECKSUM_MISMATCH = 12,
  // The header can't be decoded.
  CHARLET_INVALID_HEADER = 13,
  // The alphabet is invalid.
  CHARLET_INVALID_VOCABULARY = 14,
  // A size is invalid.
  CHARLET_INVALID_SIZES = 15,
  // A weight is infinite or not a number, or a sum could overflow.
  CHARLET_INVALID_WEIGHT = 16,
  // A scale is invalid.
  CHARLET_INVALID_SCALE = 17,
  // The library was built without single precision.
  CHARLET_UNSUPPORTED_PRECISION = 18,
  // The message is damaged, or was made with another model.
  CHARLET_CORRUPT_MESSAGE = 19,
  // The session was saved with another model.
  CHARLET_OTHER_MODEL = 20,
  // The model has no such layer.
  CHARLET_UNKNOWN_LAYER = 21,
  // The model has no such token.
  CHARLET_UNKNOWN_TOKEN = 22,
  // The model does not know a character.
  CHARLET_UNKNOWN_CHAR = 23,
  // The temperature is not a positive number.
  CHARLET_INVALID_TEMPERATURE = 24,
  // top_p is not in (0, 1].
  CHARLET_INVALID_TOP_P = 25,
  // Another error, of a newer runtime.
  CHARLET_OTHER_ERROR = 26,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum charlet_error charlet_error;
#else
typedef int32_t charlet_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A text on its way, in memory of yours: charlet_session_init makes one.
typedef struct charlet_session charlet_session;

// Compresses a text character by character: memory of yours, which charlet_encoder_init fills.
typedef struct charlet_encoder {
  // What is in it is the library's.
  size_t _opaque[24];
} charlet_encoder;

// Takes the next byte of a message; false if it can't. It must return: no longjmp, no exception of C++.
typedef bool (*charlet_put)(void *context, uint8_t byte);

// Reads a message character by character: memory of yours, which charlet_decoder_init fills.
typedef struct charlet_decoder {
  // What is in it is the library's.
  size_t _opaque[24];
} charlet_decoder;

// Gives the next byte of a message; a negative number at its end, as getc does. Any number but 0 to 255 is the
// end. It must return: no longjmp, no exception of C++.
typedef int32_t (*charlet_get)(void *context);

// A checked model: memory of yours, which charlet_model_from_bytes fills. While sessions use it, don't copy it, and
// don't fill it again.
typedef struct charlet_model {
  // What is in it is the library's.
  size_t _opaque[32];
} charlet_model;

// What a model says of itself.
typedef struct charlet_info {
  // Tokens: characters, then marks.
  uint32_t vocab_size;
  // The token that is fed before a text's first character.
  int32_t start;
  // The mark that ends a text, or -1: models of running text have none.
  int32_t end;
  // The mark for characters that the model doesn't know, or -1.
  int32_t unknown;
  // Size of the embedding.
  uint32_t embedding_size;
  // Hidden units per layer.
  uint32_t hidden_size;
  // LSTM layers.
  uint32_t num_layers;
  // Bits of a weight: 32 (single precision), 8 or 4.
  uint32_t weight_bits;
  // The file's checksum: models with the same are the same.
  uint32_t checksum;
  // Bytes of a session, as charlet_session_size tells.
  size_t session_size;
  // Bytes of a saved session.
  size_t saved_size;
} charlet_info;

// How the next character is chosen: charlet_sampler_init makes one, or take a constant.
typedef struct charlet_sampler {
  // What is in it is the library's.
  size_t _opaque[10];
} charlet_sampler;

// Random numbers from a seed, the same as in Rust and in the command `charlet`. Not for secrets.
typedef struct charlet_rng {
  // The state; save it as you like.
  uint32_t words[4];
} charlet_rng;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

#if defined(CHARLET_BUILTIN)
// The model that the variable CHARLET_MODEL named when the library was built with the feature `builtin`. It
// was checked while compiling: it needs no charlet_model_from_bytes, and no memory.
extern const struct charlet_model charlet_builtin;
#endif

// Always the most probable character.
extern const struct charlet_sampler charlet_argmax;

// Draws with temperature 0.5: careful. These constants take no floating-point code.
extern const struct charlet_sampler charlet_temperature_0_5;

// Draws with temperature 0.6.
extern const struct charlet_sampler charlet_temperature_0_6;

// Draws with temperature 0.7.
extern const struct charlet_sampler charlet_temperature_0_7;

// Draws with temperature 0.8.
extern const struct charlet_sampler charlet_temperature_0_8;

// Draws with temperature 0.9.
extern const struct charlet_sampler charlet_temperature_0_9;

// Draws with temperature 1: the model's own distribution.
extern const struct charlet_sampler charlet_temperature_1_0;

// Compresses a text into `size` bytes, and tells how many of them the message takes: at most one more than
// the text has, and one for the check. Any text will do. With `check`, 8 bits at the end tell a damaged message
// from a whole one. Text and message must not overlap. The session's own text is given up.
charlet_error charlet_compress(struct charlet_session *session,
                               const char *text,
                               size_t len,
                               bool check,
                               uint8_t *message,
                               size_t size,
                               size_t *message_len);

// Reads a message of the same model and the same `check` into `size` bytes, as UTF-8 with a NUL behind it,
// which `text_len` doesn't count; it may be NULL. Text and message must not overlap. Any bytes are safe. The
// session's own text is given up.
//
// Use the text after CHARLET_OK only; after an error `text_len` is what it was. CHARLET_BUFFER_FULL may also mean
// a damaged message, or one of another model: its text may have no end, and the work grows with `size`. Without
// the check such a message is often CHARLET_OK, with another text.
charlet_error charlet_decompress(struct charlet_session *session,
                                 const uint8_t *message,
                                 size_t message_len,
                                 bool check,
                                 char *text,
                                 size_t size,
                                 size_t *text_len);

// Starts a message, whose bytes `put` takes with its `context`. The session's own text is given up; don't use
// the session before charlet_encoder_finish.
//
// Unlike charlet_compress it never stores the text as it is, so a text that the model doesn't expect takes more
// bytes than it has: at most 6 for each character, and 6 more, check and end included.
charlet_error charlet_encoder_init(struct charlet_encoder *encoder,
                                   struct charlet_session *session,
                                   bool check,
                                   charlet_put put,
                                   void *context);

// Compresses the next character: one step of the model.
charlet_error charlet_encoder_push(struct charlet_encoder *encoder, int32_t character);

// Ends the message. The encoder is used up.
charlet_error charlet_encoder_finish(struct charlet_encoder *encoder);

// Starts to read a message, whose bytes `get` gives with its `context`. The session's own text is given up; don't
// use the session before the last character.
charlet_error charlet_decoder_init(struct charlet_decoder *decoder,
                                   struct charlet_session *session,
                                   bool check,
                                   charlet_get get,
                                   void *context);

// Tells the next character, or CHARLET_END behind the last: at most one step of the model. After
// CHARLET_CORRUPT_MESSAGE it is at its end, too. Without a check a damaged message, or one of another model, often
// gives another text and no error; that may have no end, so limit its characters.
charlet_error charlet_decoder_next(struct charlet_decoder *decoder,
                                   int32_t *character);

// What an error says, in English and without a full stop. Any number will do.
const char *charlet_error_text(int32_t error);

// Writes a character's UTF-8 to `utf8`, at most 4 bytes and no NUL, and returns how many: 0 for what is no
// character, like CHARLET_END.
size_t charlet_utf8(int32_t character, char *utf8);

// Checks a model file and borrows it: `bytes` must stay where they are, unchanged, as long as the model is
// used. A multiple of 4 as their address is several times as fast on a Cortex-M4.
//
// Any bytes are safe. Unless CHARLET_OK is returned, `model` can't be used.
charlet_error charlet_model_from_bytes(struct charlet_model *model, const uint8_t *bytes, size_t len);

// Tells what a model says of itself.
charlet_error charlet_model_info(const struct charlet_model *model, struct charlet_info *info);

// The token of a character, the mark for those that the model doesn't know, or -1.
int32_t charlet_model_token(const struct charlet_model *model, int32_t character);

// The character of a token, or CHARLET_END: marks have none.
int32_t charlet_model_char(const struct charlet_model *model, uint16_t token);

// Makes a sampler. `temperature`: 1 is the model's own distribution, less is more careful, 0 always takes the
// most probable character. `top_k`: only so many of the most probable; 0 for all. `top_p`: only
// the fewest that make up this share of the probability; 1 for all.
//
// Unless CHARLET_OK is returned, `sampler` is zeros, and can't be used.
//
// On a chip without a floating-point unit it takes about 2 KB of code, which the constants don't.
charlet_error charlet_sampler_init(struct charlet_sampler *sampler,
                                   float temperature,
                                   uint32_t top_k,
                                   float top_p);

// Starts the generator of a seed.
void charlet_rng_seed(struct charlet_rng *rng, uint64_t seed);

// The next 32 random bits.
uint32_t charlet_rng_next(struct charlet_rng *rng);

// Bytes of memory that a session of this model needs; 0 if it is none. CHARLET_SESSION_SIZE is a constant that is
// never less.
size_t charlet_session_size(const struct charlet_model *model);

// Makes a session at the start of a text, in `size` bytes of your memory. Model and memory must stay where
// they are as long as it is used; there is nothing to free. If it fails, `*session` is NULL.
charlet_error charlet_session_init(struct charlet_session **session,
                                   const struct charlet_model *model,
                                   void *memory,
                                   size_t size);

// Starts a new text.
charlet_error charlet_session_start(struct charlet_session *session);

// Feeds `len` bytes of UTF-8, which the model shall continue. They are appended to the text that the
// session is in; a character that the model doesn't know is CHARLET_UNKNOWN_CHAR, and nothing was fed then.
charlet_error charlet_session_prompt(struct charlet_session *session, const char *text, size_t len);

// Makes one character, and returns its code point, or CHARLET_END where the model ends the text: the next call
// then starts a new one. `random`: 32 random bits, of charlet_rng_next or the chip's own. It is CHARLET_END
// too if `session` or `sampler` is NULL, or `sampler` was not initialised.
int32_t charlet_session_next(struct charlet_session *session,
                             const struct charlet_sampler *sampler,
                             uint32_t random);

// Makes a text of at most `max_chars` characters and writes it into `size` bytes, as UTF-8 with a NUL behind
// it. With the same seed it is the text that the command `charlet generate` prints.
//
// After a text that `max_chars` cut off, the next call continues it; charlet_session_start begins a new one.
// CHARLET_BUFFER_FULL: the next character had no room, and is lost.
charlet_error charlet_session_generate(struct charlet_session *session,
                                       const struct charlet_sampler *sampler,
                                       struct charlet_rng *rng,
                                       size_t max_chars,
                                       char *text,
                                       size_t size);

// Feeds a token and writes the logits of what follows: as many as there are tokens. `logits` may be NULL if
// `count` is 0.
//
// It is for whoever chooses tokens himself. Feed the next one with it too, or name it with
// charlet_session_set_next before charlet_session_next goes on.
charlet_error charlet_session_step(struct charlet_session *session,
                                   uint16_t token,
                                   float *logits,
                                   size_t count);

// Names the token that is fed next.
charlet_error charlet_session_set_next(struct charlet_session *session, uint16_t token);

// Writes h and c of a layer, a value of each for every hidden unit. Layer 0 is next to the input. Either may be
// NULL.
charlet_error charlet_session_layer(struct charlet_session *session,
                                    size_t layer,
                                    float *h,
                                    float *c,
                                    size_t count);

// Replaces h and c of a layer; neither may be NULL. Integer models round them, take the nearest number that they
// have, and 0 for NaN.
charlet_error charlet_session_set_layer(struct charlet_session *session,
                                        size_t layer,
                                        const float *h,
                                        const float *c,
                                        size_t count);

// The log-probability of a whole text, its end included if the model marks it: in nats, at most 0. The
// session's own text is given up.
charlet_error charlet_session_score(struct charlet_session *session,
                                    const char *text,
                                    size_t len,
                                    float *log_prob);

// Bytes of a saved session; 0 for NULL.
size_t charlet_session_saved_size(const struct charlet_session *session);

// Writes the text's position into `size` bytes, exactly charlet_session_saved_size: the same on every chip.
charlet_error charlet_session_save(const struct charlet_session *session, uint8_t *saved, size_t size);

// Goes on from a saved position, which may be another chip's. Any bytes are safe.
charlet_error charlet_session_restore(struct charlet_session *session, const uint8_t *saved, size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CHARLET_H */
