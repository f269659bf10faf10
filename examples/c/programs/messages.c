/* Compresses the lines of standard input, and reads them again.
 *
 *     messages MODEL <LINES
 *
 * prints each line's message in hexadecimal, then each line as it was read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charlet.h"
#include "file.h"

#define LONGEST 200
#define MOST 100

struct message {
    /* What a stream takes at most; charlet_compress takes less. */
    uint8_t bytes[6 * LONGEST + 6];
    size_t len;
};

/* What takes a message's bytes one by one: a radio, or this. */
static bool put(void *context, uint8_t byte) {
    struct message *message = (struct message *)context;
    if (message->len == sizeof message->bytes) return false;
    message->bytes[message->len++] = byte;
    return true;
}

struct reader {
    const uint8_t *next, *end;
};

static int32_t get(void *context) {
    struct reader *reader = (struct reader *)context;
    return reader->next == reader->end ? -1 : *reader->next++;
}

/* A message made and read character by character, with a check. ASCII only. */
static charlet_error stream(charlet_session *session, const char *line) {
    struct message message;
    struct reader reader;
    charlet_encoder encoder;
    charlet_decoder decoder;
    charlet_error error;
    int32_t character = 0;
    const char *at;
    message.len = 0;
    error = charlet_encoder_init(&encoder, session, true, put, &message);
    for (at = line; error == CHARLET_OK && *at != 0; at++) {
        error = charlet_encoder_push(&encoder, (unsigned char)*at);
    }
    if (error == CHARLET_OK) error = charlet_encoder_finish(&encoder);
    reader.next = message.bytes;
    reader.end = message.bytes + message.len;
    if (error == CHARLET_OK) error = charlet_decoder_init(&decoder, session, true, get, &reader);
    for (at = line; error == CHARLET_OK && character != CHARLET_END; at++) {
        error = charlet_decoder_next(&decoder, &character);
        if (character != (*at == 0 ? CHARLET_END : (unsigned char)*at)) return CHARLET_CORRUPT_MESSAGE;
    }
    return error;
}

int main(int argc, char **argv) {
    static struct message messages[MOST];
    char line[LONGEST + 1];
    charlet_model model;
    charlet_session *session = NULL;
    charlet_error error;
    unsigned char *bytes;
    void *memory = NULL;
    size_t len = 0, count = 0, at, byte;

    bytes = argc == 2 ? read_file(argv[1], &len) : NULL;
    if (bytes == NULL) {
        fprintf(stderr, "usage: messages MODEL <LINES\n");
        return EXIT_FAILURE;
    }
    error = charlet_model_from_bytes(&model, bytes, len);
    if (error == CHARLET_OK) memory = malloc(charlet_session_size(&model));
    if (error == CHARLET_OK) error = charlet_session_init(&session, &model, memory, charlet_session_size(&model));
    while (error == CHARLET_OK && count < MOST && fgets(line, sizeof line, stdin) != NULL) {
        struct message *message = &messages[count++];
        line[strcspn(line, "\n")] = 0;
        error = charlet_compress(session, line, strlen(line), false, message->bytes, sizeof message->bytes,
                                 &message->len);
        for (byte = 0; byte < message->len; byte++) printf("%02x", message->bytes[byte]);
        puts("");
        for (byte = 0; line[byte] > 0; byte++) continue;
        if (error == CHARLET_OK && line[byte] == 0) error = stream(session, line);
    }
    for (at = 0; error == CHARLET_OK && at < count; at++) {
        error = charlet_decompress(session, messages[at].bytes, messages[at].len, false, line, sizeof line, &len);
        if (error == CHARLET_OK) puts(line);
    }
    if (error != CHARLET_OK) fprintf(stderr, "%s\n", charlet_error_text(error));
    free(memory);
    free(bytes);
    return error == CHARLET_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
