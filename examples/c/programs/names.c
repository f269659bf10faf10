/* Prints names: the first text in C.
 *
 *     names MODEL [SEED [COUNT [TEMPERATURE]]]
 *
 * prints what `charlet generate MODEL -n COUNT --temperature TEMPERATURE --length 20 --seed SEED` prints. */
#include <stdio.h>
#include <stdlib.h>

#include "charlet.h"
#include "file.h"

static int fail(const char *what, charlet_error error) {
    fprintf(stderr, "%s: %s\n", what, charlet_error_text(error));
    return EXIT_FAILURE;
}

int main(int argc, char **argv) {
    unsigned long long seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    long count = argc > 3 ? strtol(argv[3], NULL, 10) : 20;
    charlet_sampler sampler = charlet_temperature_0_8;
    charlet_model model;
    charlet_session *session;
    charlet_rng rng;
    charlet_error error;
    unsigned char *bytes;
    void *memory;
    size_t len = 0;
    int result = EXIT_SUCCESS;

    if (argc < 2) {
        fprintf(stderr, "usage: names MODEL [SEED [COUNT [TEMPERATURE]]]\n");
        return EXIT_FAILURE;
    }
    if (argc > 4) {
        error = charlet_sampler_init(&sampler, strtof(argv[4], NULL), 0, 1);
        if (error != CHARLET_OK) return fail(argv[4], error);
    }
    bytes = read_file(argv[1], &len);
    if (bytes == NULL) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    error = charlet_model_from_bytes(&model, bytes, len);
    /* The memory is the program's: here from malloc, on a chip an array. */
    memory = error == CHARLET_OK ? malloc(charlet_session_size(&model)) : NULL;
    if (error == CHARLET_OK) {
        error = charlet_session_init(&session, &model, memory, charlet_session_size(&model));
    }
    charlet_rng_seed(&rng, seed);
    for (; error == CHARLET_OK && count > 0; count--) {
        char name[4 * 20 + 1];
        charlet_session_start(session);
        error = charlet_session_generate(session, &sampler, &rng, 20, name, sizeof name);
        puts(name);
    }
    if (error != CHARLET_OK) result = fail(argv[1], error);
    free(memory);
    free(bytes);
    return result;
}
