// Runs a kernel of pointwise.cu on the processor, thread after thread.
//
// Arguments: the kernel, the lengths of its three buffers, then its numbers in their order. The buffers come in as
// floats; the first one, which the kernel changes, goes out.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define __device__
#define __global__
static struct { unsigned x; } blockIdx, threadIdx, blockDim = {8};

#include "pointwise.cu"

int main(int argc, char **argv) {
    place numbers[12] = {0};
    float *buffers[3];
    const int is_forward = argv[1][0] == 'f';
    for (int at = 2; at < argc && at < 14; ++at) numbers[at - 2] = strtoull(argv[at], NULL, 10);
    for (int at = 0; at < 3; ++at) {
        buffers[at] = malloc(numbers[at] * sizeof(float) + 1);
        if (fread(buffers[at], sizeof(float), numbers[at], stdin) != numbers[at]) return 1;
    }
    const place *n = numbers + 3;
    for (blockIdx.x = 0; blockIdx.x * blockDim.x < n[0]; ++blockIdx.x) {
        for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) {
            if (is_forward) {
                lstm_forward(buffers[0], buffers[1], n[0], n[1], n[2], n[3], n[4], n[5]);
            } else {
                lstm_backward(
                    buffers[0], buffers[1], buffers[2], n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8]
                );
            }
        }
    }
    return fwrite(buffers[0], sizeof(float), numbers[0], stdout) != numbers[0];
}
