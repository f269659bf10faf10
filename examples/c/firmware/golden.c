/* Makes names on an emulated chip, and prints what Rust's firmware prints: examples/firmware/transcript. */
#include "charlet.h"
#include "chip.h"

#ifdef CHARLET_BUILTIN
#define model charlet_builtin
#else
/* The model, from model.S. */
extern const unsigned char model_start[], model_end[];
static charlet_model model;
#endif

#define LONGEST 20

static uint64_t memory[256];
static charlet_session *names;
static charlet_rng rng;
static size_t stack;

static size_t length(const char *text) {
    size_t len = 0;
    while (text[len] != 0) len++;
    return len;
}

struct work {
    const charlet_sampler *sampler;
    const char *beginning;
    char name[LONGEST + 1];
    charlet_error error;
};

static void make(void *context) {
    struct work *work = (struct work *)context;
    size_t len = length(work->beginning), at;
    charlet_session_start(names);
    work->name[0] = 0;
    work->error = charlet_session_prompt(names, work->beginning, len);
    if (work->error != CHARLET_OK) return;
    for (at = 0; at < len; at++) work->name[at] = work->beginning[at];
    work->error = charlet_session_generate(names, work->sampler, &rng, LONGEST - len, work->name + len,
                                           sizeof work->name - len);
}

static const char *make_name(struct work *work) {
    size_t bytes = peak_stack(make, work);
    if (bytes > stack) stack = bytes;
    return work->name;
}

static void make_all(const char *what, const charlet_sampler *sampler) {
    static const char *const beginnings[] = {"", "ma", "zxq", "M"};
    struct work work;
    size_t at;
    work.sampler = sampler;
    for (at = 0; at < sizeof beginnings / sizeof *beginnings; at++) {
        work.beginning = beginnings[at];
        print(what);
        print("\"");
        print(work.beginning);
        print("\": ");
        print(make_name(&work));
        switch (work.error) {
            case CHARLET_OK: print(" Ok(())\n"); break;
            /* As Rust says it. */
            case CHARLET_UNKNOWN_CHAR: print(" Err(Model(UnknownChar('M')))\n"); break;
            default: print(charlet_error_text(work.error)); print("\n"); break;
        }
    }
}

int main(void) {
    struct work work;
    charlet_error error = CHARLET_OK;
    int count;
#ifndef CHARLET_BUILTIN
    error = charlet_model_from_bytes(&model, model_start, (size_t)(model_end - model_start));
#endif
    if (error == CHARLET_OK) error = charlet_session_init(&names, &model, memory, sizeof memory);
    if (error != CHARLET_OK) {
        print(charlet_error_text(error));
        return 1;
    }
    charlet_rng_seed(&rng, 1);
    work.sampler = &charlet_temperature_0_8;
    work.beginning = "";
    for (count = 0; count < 20; count++) {
        print(make_name(&work));
        print("\n");
    }
    make_all("", &charlet_temperature_0_8);
    make_all("most probable, ", &charlet_argmax);
    print("stack ");
    print_number(stack);
    print("\n");
    return 0;
}
