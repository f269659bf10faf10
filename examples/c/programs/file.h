/* Reads a whole file into memory, for programs on a desktop. */
#ifndef FILE_H
#define FILE_H

#include <stdio.h>
#include <stdlib.h>

/* The bytes, to be freed, or NULL: errno says why. */
static unsigned char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    long end;

    if (file == NULL) return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        *len = (size_t)end;
        bytes = (unsigned char *)malloc(*len + 1);
        if (bytes != NULL && fread(bytes, 1, *len, file) != *len) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

#endif
