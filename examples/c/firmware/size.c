/* Nothing but names, for ever, as examples/firmware/panic-free: shows how much of a firmware is charlet. It is linked,
 * and never run. */
#include "charlet.h"

#ifdef CHARLET_BUILTIN
#define model charlet_builtin
#else
extern const unsigned char model_start[], model_end[];
static charlet_model model;
#endif

#define PORT (*(volatile uint32_t *)0x40000000)
#define NOISE (*(volatile uint32_t *)0x40001000)

static uint64_t memory[(CHARLET_SESSION_SIZE(STATE_WORDS, WORKSPACE_WORDS) + 7) / 8];

/* What every C library has, as small as newlib's for chips. */
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int byte, size_t count);

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memcpy(void *to, const void *from, size_t count) {
    size_t at;
    for (at = 0; at < count; at++) ((char *)to)[at] = ((const char *)from)[at];
    return to;
}

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memset(void *to, int byte, size_t count) {
    size_t at;
    for (at = 0; at < count; at++) ((char *)to)[at] = (char)byte;
    return to;
}

#ifdef __arm__
/* By the names of Arm's ABI, too. */
void __aeabi_memclr4(void *to, size_t count);
void __aeabi_memcpy4(void *to, const void *from, size_t count);
void __aeabi_memclr4(void *to, size_t count) { memset(to, 0, count); }
void __aeabi_memcpy4(void *to, const void *from, size_t count) { memcpy(to, from, count); }
#endif

void _start(void);

void _start(void) {
    charlet_session *names;
    int left;
#ifndef CHARLET_BUILTIN
    if (charlet_model_from_bytes(&model, model_start, (size_t)(model_end - model_start)) != CHARLET_OK) return;
#endif
    if (charlet_session_init(&names, &model, memory, sizeof memory) != CHARLET_OK) return;
    for (;;) {
        charlet_session_start(names);
        if (charlet_session_prompt(names, "ma", 2) != CHARLET_OK) return;
        for (left = 18; left > 0; left--) {
            int32_t character = charlet_session_next(names, &charlet_temperature_0_8, NOISE);
            if (character == CHARLET_END) break;
            PORT = (uint32_t)character;
        }
    }
}
