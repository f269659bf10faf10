/* The machines that qemu plays: how each prints, exits and tells its stack. */
#ifndef CHIP_H
#define CHIP_H

#include <stddef.h>
#include <stdint.h>

void print(const char *text);
void print_number(size_t number);
/* Runs something, and tells how many bytes of stack it took at most. */
size_t peak_stack(void (*work)(void *), void *context);

#endif
