// Gates, c and h of a step, forward and backward, as pointwise.rs has them: a thread for each unit of each lane.
//
// Values stand in their buffers where the step says. A step has so many units in all, lane after lane, of which each
// lane has hidden_size; lanes that go on come first. This is C as well as CUDA, so that a test runs it on the processor.

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long long place;

static __device__ float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

// In the tape there are the input's share of the sums, which become the activated gates, and c and h; the rest of the
// sums is the product with the recurrent weights.
__global__ void lstm_forward(
    float *tape, const float *product, unsigned units, unsigned hidden_size,
    place gates, place c_before, place c, place h
) {
    const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= units) return;
    const place first = (place)(at / hidden_size) * 4 * hidden_size + at % hidden_size;
    float *gate = tape + gates + first;
    const float *share = product + first;
    const float i = sigmoid(gate[0] + share[0]);
    const float f = sigmoid(gate[hidden_size] + share[hidden_size]);
    const float g = tanhf(gate[2 * hidden_size] + share[2 * hidden_size]);
    const float o = sigmoid(gate[3 * hidden_size] + share[3 * hidden_size]);
    const float after = f * tape[c_before + at] + i * g;
    gate[0] = i;
    gate[hidden_size] = f;
    gate[2 * hidden_size] = g;
    gate[3 * hidden_size] = o;
    tape[c + at] = after;
    tape[h + at] = o * tanhf(after);
}

// The gradients of the gates' sums stand where the tape has the gates. That of h is the output's share, and what the
// step after gives back: a product, of the units that go on, or the gradient of the last state. That of c changes in
// place.
__global__ void lstm_backward(
    float *grads, const float *tape, const float *product, unsigned units, unsigned hidden_size,
    place gates, place c_before, place c, place dh, place dh_last, place dc, unsigned going_on
) {
    const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= units) return;
    const place first = gates + (place)(at / hidden_size) * 4 * hidden_size + at % hidden_size;
    const float *gate = tape + first;
    float *grad = grads + first;
    const float i = gate[0];
    const float f = gate[hidden_size];
    const float g = gate[2 * hidden_size];
    const float o = gate[3 * hidden_size];
    const float squashed = tanhf(tape[c + at]);
    const float d_h = grads[dh + at] + (at < going_on ? product[at] : grads[dh_last + at]);
    const float d_c = grads[dc + at] + d_h * o * (1.0f - squashed * squashed);
    grad[0] = d_c * g * i * (1.0f - i);
    grad[hidden_size] = d_c * tape[c_before + at] * f * (1.0f - f);
    grad[2 * hidden_size] = d_c * i * (1.0f - g * g);
    grad[3 * hidden_size] = d_h * squashed * o * (1.0f - o);
    grads[dc + at] = d_c * f;
}

#ifdef __cplusplus
}
#endif
