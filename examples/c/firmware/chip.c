/* The machines that qemu plays: Cortex-M with semihosting, and RISC-V's `virt`. */
#include "chip.h"

int main(void);
void start(void);

/* Where the linker put what. */
extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];

#if defined(__arm__)

enum { OPEN = 1, WRITE = 5, EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

static int semihosting(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* To standard output, which a debugger opens by this name. */
static void print_some(const char *text) {
    static uintptr_t output;
    uintptr_t arguments[3];
    size_t len = 0;
    if (output == 0) {
        arguments[0] = (uintptr_t) ":tt";
        arguments[1] = 4;
        arguments[2] = 3;
        output = (uintptr_t)semihosting(OPEN, arguments);
    }
    while (text[len] != 0) len++;
    arguments[0] = output;
    arguments[1] = (uintptr_t)text;
    arguments[2] = len;
    semihosting(WRITE, arguments);
}

static void leave(int status) {
    uint32_t reason[2];
    reason[0] = APPLICATION_EXIT;
    reason[1] = (uint32_t)status;
    for (;;) semihosting(EXIT_EXTENDED, reason);
}

static void hang(void) { leave(2); }

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_top, (uintptr_t)start, (uintptr_t)hang, (uintptr_t)hang,
    (uintptr_t)hang,      (uintptr_t)hang,  (uintptr_t)hang,
};

#define STACK_POINTER(into) __asm__ volatile("mov %0, sp" : "=r"(into))

#if defined(__ARM_FP)
/* The floating-point unit is off after a reset. */
static void start_unit(void) {
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\n isb");
}
#else
static void start_unit(void) {}
#endif

#elif defined(__riscv)

static void print_some(const char *text) {
    for (; *text != 0; text++) *(volatile uint8_t *)0x10000000 = (uint8_t)*text;
}

static void leave(int status) {
    for (;;) *(volatile uint32_t *)0x100000 = status == 0 ? 0x5555 : 0x13333;
}

__attribute__((section(".vectors"), naked, used)) void reset(void) {
    __asm__ volatile("la sp, stack_top\n j start");
}

#define STACK_POINTER(into) __asm__ volatile("mv %0, sp" : "=r"(into))

static void start_unit(void) {}

#endif

void start(void) {
    uint32_t *to;
    const uint32_t *from = data_load;
    for (to = data_start; to < data_end; to++) *to = *from++;
    for (to = bss_start; to < bss_end; to++) *to = 0;
    start_unit();
    leave(main());
}

void print(const char *text) { print_some(text); }

void print_number(size_t number) {
    char text[12];
    char *at = text + sizeof text - 1;
    *at = 0;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    print(at);
}

#define PAINTED (6 * 1024)
#define PAINT 0xa5a55a5a

static __attribute__((noinline)) void call(void (*work)(void *), void *context) {
    work(context);
    __asm__ volatile("" ::: "memory");
}

/* What it leaves of paint is what it has not used. */
__attribute__((noinline)) size_t peak_stack(void (*work)(void *), void *context) {
    uintptr_t top, word;
    STACK_POINTER(top);
    for (word = top - PAINTED; word < top; word += 4) *(volatile uint32_t *)word = PAINT;
    call(work, context);
    for (word = top - PAINTED; word < top; word += 4) {
        if (*(volatile uint32_t *)word != PAINT) break;
    }
    return top - word;
}
