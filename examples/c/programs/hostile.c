/* Damaged models, buffers that are too small, and NULL: errors, under sanitizers.
 *
 *     hostile [overrun] MODEL...
 *
 * All memory that the library gets has exactly the size that is named, so that a sanitizer sees a byte beyond it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charlet.h"
#include "file.h"

#define CHECK(that)                                                          \
    do {                                                                     \
        if (!(that)) {                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #that); \
            exit(EXIT_FAILURE);                                              \
        }                                                                    \
    } while (0)

static unsigned long accepted, refused;

/* Memory of exactly this size; of 0 bytes it can't be NULL. */
static void *exactly(size_t size) {
    void *memory = malloc(size);
    CHECK(memory != NULL);
    return memory;
}

static uint32_t crc_of(uint32_t crc, const unsigned char *bytes, size_t len) {
    static uint32_t table[256];
    uint32_t at, bit;
    if (table[1] == 0) {
        for (at = 0; at < 256; at++) {
            uint32_t word = at;
            for (bit = 0; bit < 8; bit++) word = word >> 1 ^ (word & 1 ? 0xedb88320 : 0);
            table[at] = word;
        }
    }
    for (; len > 0; len--) crc = crc >> 8 ^ table[(crc ^ *bytes++) & 0xff];
    return crc;
}

/* Makes the checksum right again, so that what is behind it is looked at. */
static void repair(unsigned char *model, size_t len) {
    uint32_t crc = crc_of(crc_of(0xffffffff, model, 28), model + 32, len - 32) ^ 0xffffffff;
    int at;
    for (at = 0; at < 4; at++) model[28 + at] = (unsigned char)(crc >> 8 * at);
}

struct stream {
    uint8_t bytes[64];
    size_t len, read;
};

static bool put(void *context, uint8_t byte) {
    struct stream *stream = (struct stream *)context;
    if (stream->len == sizeof stream->bytes) return false;
    stream->bytes[stream->len++] = byte;
    return true;
}

static int32_t get(void *context) {
    struct stream *stream = (struct stream *)context;
    return stream->read == stream->len ? -1 : stream->bytes[stream->read++];
}

/* Characters that no model expects: a stream keeps to the bytes that the header names. */
static void stream(charlet_session *session) {
    static const int32_t text[] = {0x10ffff, 0x1f600, 0x10ffff, 0x800, 0x1f600, 0x10ffff};
    const size_t count = sizeof text / sizeof *text;
    struct stream stream = {{0}, 0, 0};
    charlet_encoder encoder;
    charlet_decoder decoder;
    int32_t character;
    size_t at;
    CHECK(charlet_encoder_init(&encoder, session, true, put, &stream) == CHARLET_OK);
    for (at = 0; at < count; at++) CHECK(charlet_encoder_push(&encoder, text[at]) == CHARLET_OK);
    CHECK(charlet_encoder_finish(&encoder) == CHARLET_OK);
    CHECK(stream.len <= 6 * count + 6);
    CHECK(charlet_decoder_init(&decoder, session, true, get, &stream) == CHARLET_OK);
    for (at = 0; at <= count; at++) {
        CHECK(charlet_decoder_next(&decoder, &character) == CHARLET_OK);
        CHECK(character == (at < count ? text[at] : CHARLET_END));
    }
    /* Cut off it is damaged, or ends elsewhere; after an error it is at its end. */
    stream.read = 0;
    stream.len /= 2;
    CHECK(charlet_decoder_init(&decoder, session, true, get, &stream) == CHARLET_OK);
    for (at = 0; at < 2 * count; at++) {
        if (charlet_decoder_next(&decoder, &character) == CHARLET_OK) continue;
        CHECK(charlet_decoder_next(&decoder, &character) == CHARLET_OK && character == CHARLET_END);
        break;
    }
}

/* Everything that a session can do. */
static void use(charlet_session *session, const charlet_info *info) {
    static const char text[] = "maria \xc3\xa9";
    static const charlet_sampler *const samplers[] = {&charlet_temperature_0_8, &charlet_argmax};
    charlet_sampler narrow;
    charlet_rng rng;
    char name[33];
    uint8_t message[sizeof text + 2];
    size_t len = 0, at;
    float score, *logits;
    const charlet_session *looked_at = session;
    uint8_t *saved = (uint8_t *)exactly(info->saved_size);

    charlet_rng_seed(&rng, 1);
    for (at = 0; at < 2; at++) {
        charlet_session_start(session);
        charlet_session_generate(session, samplers[at], &rng, 8, name, sizeof name);
    }
    CHECK(charlet_sampler_init(&narrow, 0.7f, 5, 0.9f) == CHARLET_OK);
    charlet_session_next(session, &narrow, charlet_rng_next(&rng));
    charlet_session_prompt(session, text, sizeof text - 1);
    charlet_session_score(session, text, sizeof text - 1, &score);
    CHECK(charlet_session_saved_size(looked_at) == info->saved_size);
    CHECK(charlet_session_save(looked_at, saved, info->saved_size) == CHARLET_OK);
    CHECK(charlet_session_restore(session, saved, info->saved_size) == CHARLET_OK);
    logits = (float *)exactly(info->vocab_size * sizeof *logits);
    CHECK(charlet_session_step(session, (uint16_t)info->start, logits, info->vocab_size) == CHARLET_OK);
    CHECK(charlet_session_step(session, (uint16_t)info->vocab_size, logits, info->vocab_size) ==
          CHARLET_UNKNOWN_TOKEN);
    free(logits);
    CHECK(charlet_compress(session, text, sizeof text - 1, true, message, sizeof message, &len) == CHARLET_OK);
    CHECK(len <= sizeof text + 1);
    CHECK(charlet_decompress(session, message, len, true, name, sizeof name, &len) == CHARLET_OK);
    CHECK(strcmp(name, text) == 0);
    stream(session);
    free(saved);
}

/* A model that may be anything, in memory of exactly its size. */
static void try_model(const unsigned char *bytes, size_t len) {
    unsigned char *copy = (unsigned char *)exactly(len);
    charlet_model model;
    charlet_info info;
    charlet_session *session;
    charlet_error error;
    memcpy(copy, bytes, len);
    error = charlet_model_from_bytes(&model, copy, len);
    if (error == CHARLET_OK) {
        void *memory;
        accepted++;
        CHECK(charlet_model_info(&model, &info) == CHARLET_OK);
        memory = exactly(info.session_size);
        CHECK(charlet_session_init(&session, &model, memory, info.session_size) == CHARLET_OK);
        use(session, &info);
        free(memory);
    } else {
        refused++;
        CHECK(charlet_session_size(&model) == 0);
        CHECK(charlet_session_init(&session, &model, copy, len) == CHARLET_NOT_INITIALIZED);
        CHECK(session == NULL && charlet_error_text(error)[0] != 0);
    }
    free(copy);
}

static void damage(const unsigned char *bytes, size_t len) {
    unsigned char *copy = (unsigned char *)exactly(len + 1);
    size_t header = 32 + bytes[12] + 256u * bytes[13], at;
    /* Small models are tried byte by byte. */
    size_t step = len < 20000 ? 1 : 997;
    charlet_rng rng;
    memcpy(copy, bytes, len);
    copy[len] = 0;
    try_model(copy, len + 1);
    for (at = 0; at <= len; at += at < 2 * header ? 1 : step) try_model(bytes, at);
    for (at = 0; at < len; at += at < 2 * header ? 1 : step) {
        copy[at] ^= (unsigned char)(1 << at % 8);
        try_model(copy, len);
        copy[at] = bytes[at];
    }
    /* With a right checksum: each byte of the header, and some of the weights. */
    for (at = 8; at < header + 32; at++) {
        static const unsigned char values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
        size_t value;
        for (value = 0; value < sizeof values; value++) {
            copy[at] = values[value];
            repair(copy, len);
            try_model(copy, len);
        }
        copy[at] = bytes[at];
    }
    charlet_rng_seed(&rng, 1);
    for (at = 0; at < 100; at++) {
        int count;
        memcpy(copy, bytes, len);
        for (count = 0; count < 8; count++) {
            size_t place = header + charlet_rng_next(&rng) % (len - header);
            copy[place] = (unsigned char)charlet_rng_next(&rng);
        }
        repair(copy, len);
        try_model(copy, len);
    }
    free(copy);
}

/* Says that there is more memory than there is: a sanitizer must stop it. */
static void overrun(const unsigned char *bytes, size_t len) {
    charlet_model model;
    charlet_session *session;
    void *memory;
    size_t size;
    CHECK(charlet_model_from_bytes(&model, bytes, len) == CHARLET_OK);
    size = charlet_session_size(&model);
    memory = exactly(size - 4);
    charlet_session_init(&session, &model, memory, size);
    free(memory);
}

static void small_buffers(const unsigned char *bytes, size_t len) {
    static const char text[] = "katharina";
    charlet_model model;
    charlet_info info;
    charlet_session *session;
    charlet_rng rng;
    uint8_t message[64];
    size_t size, message_len = 0, out;
    float score;
    unsigned char *memory;

    CHECK(charlet_model_from_bytes(&model, bytes, len) == CHARLET_OK);
    CHECK(charlet_model_info(&model, &info) == CHARLET_OK);
    for (size = 0; size < info.session_size; size += size < 64 ? 1 : 61) {
        memory = (unsigned char *)exactly(size);
        CHECK(charlet_session_init(&session, &model, memory, size) == CHARLET_MEMORY_SIZE);
        free(memory);
    }
    memory = (unsigned char *)exactly(info.session_size + CHARLET_ALIGN);
    CHECK(charlet_session_init(&session, &model, memory + 1, info.session_size) == CHARLET_MISALIGNED);
    CHECK(charlet_session_init(&session, &model, memory, info.session_size) == CHARLET_OK);
    for (size = 0; size < 16; size++) {
        char *name = (char *)exactly(size);
        charlet_error error;
        charlet_rng_seed(&rng, 1);
        charlet_session_start(session);
        error = charlet_session_generate(session, &charlet_temperature_0_8, &rng, 20, name, size);
        CHECK(error == CHARLET_OK || error == CHARLET_BUFFER_FULL);
        CHECK(size == 0 || strlen(name) < size);
        free(name);
    }
    CHECK(charlet_compress(session, text, strlen(text), false, message, sizeof message, &message_len) == CHARLET_OK);
    for (size = 0; size < message_len; size++) {
        uint8_t *small = (uint8_t *)exactly(size);
        CHECK(charlet_compress(session, text, strlen(text), false, small, size, &out) == CHARLET_BUFFER_FULL);
        free(small);
    }
    for (size = 0; size <= sizeof text; size++) {
        char *small = (char *)exactly(size);
        charlet_error error;
        out = 99;
        error = charlet_decompress(session, message, message_len, false, small, size, &out);
        CHECK(error == (size < sizeof text ? CHARLET_BUFFER_FULL : CHARLET_OK));
        CHECK(out == (size < sizeof text ? 99 : strlen(text)));
        free(small);
    }
    for (size = 0; size < info.saved_size; size += size < 16 ? 1 : 61) {
        uint8_t *saved = (uint8_t *)exactly(size);
        memset(saved, 0, size);
        CHECK(charlet_session_save(session, saved, size) == CHARLET_BUFFER_LENGTH);
        CHECK(charlet_session_restore(session, saved, size) != CHARLET_OK);
        free(saved);
    }
    {
        float one = 0;
        charlet_sampler none;
        char text[8];
        memset(&none, 0, sizeof none);
        charlet_rng_seed(&rng, 1);
        CHECK(charlet_session_generate(session, &none, &rng, 1, text, 8) == CHARLET_NOT_INITIALIZED);
        CHECK(charlet_session_next(session, &none, 0) == CHARLET_END);
        CHECK(charlet_sampler_init(&none, 1, 0, 1) == CHARLET_OK);
        CHECK(charlet_session_generate(session, &none, &rng, 1, text, 8) == CHARLET_OK);
        CHECK(charlet_sampler_init(&none, -1, 0, 1) == CHARLET_INVALID_TEMPERATURE);
        CHECK(charlet_session_generate(session, &none, &rng, 1, text, 8) == CHARLET_NOT_INITIALIZED);
        CHECK(charlet_sampler_init(&none, 1, 0, 2) == CHARLET_INVALID_TOP_P);
        CHECK(charlet_session_next(session, &none, 0) == CHARLET_END);
        CHECK(charlet_session_step(session, 0, &one, 1) == CHARLET_BUFFER_LENGTH);
        CHECK(charlet_session_layer(session, 0, &one, &one, 1) == CHARLET_BUFFER_LENGTH);
        CHECK(charlet_session_layer(session, 99, &one, &one, 1) == CHARLET_UNKNOWN_LAYER);
        CHECK(charlet_session_set_layer(session, 0, NULL, &one, 1) == CHARLET_NULL);
        CHECK(charlet_session_set_layer(session, 0, &one, NULL, 1) == CHARLET_NULL);
    }
    CHECK(charlet_session_score(session, "\xff", 1, &score) == CHARLET_NOT_UTF8);
    CHECK(charlet_session_prompt(session, "\xed\xa0\x80", 3) == CHARLET_NOT_UTF8);
    free(memory);
}

static void nothing(const unsigned char *bytes, size_t len) {
    static charlet_model zeros;
    static charlet_encoder encoder;
    static charlet_decoder decoder;
    charlet_model model;
    charlet_session *session;
    charlet_rng rng;
    char text[8];
    int32_t character;
    size_t size;

    charlet_rng_seed(NULL, 1);
    charlet_rng_seed(&rng, 1);
    CHECK(charlet_rng_next(NULL) == 0);
    CHECK(charlet_model_from_bytes(NULL, bytes, len) == CHARLET_NULL);
    CHECK(charlet_model_from_bytes(&model, NULL, len) == CHARLET_NULL);
    CHECK(charlet_model_from_bytes(&model, NULL, 0) == CHARLET_NULL);
    CHECK(charlet_model_from_bytes(&model, bytes, (size_t)-1) != CHARLET_OK);
    CHECK(charlet_model_info(NULL, NULL) == CHARLET_NULL);
    CHECK(charlet_model_token(NULL, 'a') == -1 && charlet_model_char(NULL, 0) == CHARLET_END);
    CHECK(charlet_session_size(NULL) == 0 && charlet_session_size(&zeros) == 0);
    CHECK(charlet_session_init(NULL, &zeros, text, 8) == CHARLET_NULL);
    CHECK(charlet_session_init(&session, &zeros, text, 8) == CHARLET_NOT_INITIALIZED && session == NULL);
    CHECK(charlet_session_start(NULL) == CHARLET_NULL);
    CHECK(charlet_session_prompt(NULL, "", 0) == CHARLET_NULL);
    CHECK(charlet_session_next(NULL, NULL, 0) == CHARLET_END);
    CHECK(charlet_session_generate(NULL, &charlet_argmax, &rng, 1, text, 8) == CHARLET_NULL);
    CHECK(charlet_session_step(NULL, 0, NULL, 0) == CHARLET_NULL);
    CHECK(charlet_session_save(NULL, NULL, 0) == CHARLET_NULL && charlet_session_saved_size(NULL) == 0);
    CHECK(charlet_sampler_init(NULL, 1, 0, 1) == CHARLET_NULL);
    CHECK(charlet_compress(NULL, "", 0, false, NULL, 0, &size) == CHARLET_NULL);
    CHECK(charlet_decompress(NULL, NULL, 0, false, text, 8, NULL) == CHARLET_NULL);
    CHECK(charlet_encoder_init(&encoder, NULL, false, NULL, NULL) == CHARLET_NULL);
    CHECK(charlet_encoder_push(&encoder, 'a') == CHARLET_NOT_INITIALIZED);
    CHECK(charlet_encoder_finish(&encoder) == CHARLET_NOT_INITIALIZED);
    CHECK(charlet_decoder_init(&decoder, NULL, false, NULL, NULL) == CHARLET_NULL);
    CHECK(charlet_decoder_next(&decoder, &character) == CHARLET_NOT_INITIALIZED);
    CHECK(charlet_utf8('a', NULL) == 0 && charlet_utf8(CHARLET_END, text) == 0);
    CHECK(charlet_utf8(0xd800, text) == 0 && charlet_utf8(0x20ac, text) == 3);
}

int main(int argc, char **argv) {
    bool lies = argc > 1 && strcmp(argv[1], "overrun") == 0;
    int at;
    for (at = lies ? 2 : 1; at < argc; at++) {
        size_t len = 0;
        unsigned char *bytes = read_file(argv[at], &len);
        if (bytes == NULL) {
            perror(argv[at]);
            return EXIT_FAILURE;
        }
        if (lies) overrun(bytes, len);
        nothing(bytes, len);
        small_buffers(bytes, len);
        damage(bytes, len);
        free(bytes);
    }
    printf("%lu models accepted, %lu refused\n", accepted, refused);
    return accepted > 0 && refused > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
