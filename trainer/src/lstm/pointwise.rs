//! Gates, c and h of a step, forward and backward, vectorised for the processor at hand.
//!
//! The nonlinearities are those of the runtime, so that a network is trained with the arithmetic
//! that it will run on.

use charlet::activation::{exp, sigmoid, tanh};
use multiversion::multiversion;

/// What a step of some lanes reads and writes, all `[lanes, hidden_size]` but the gates.
pub(super) struct Forward<'a> {
    /// `[lanes, 4 hidden_size]`: sums, which become the activated gates i, f, g, o.
    pub(super) gates: &'a mut [f32],
    /// c before the step.
    pub(super) c_before: &'a [f32],
    /// c after it.
    pub(super) c: &'a mut [f32],
    /// h after it.
    pub(super) h: &'a mut [f32],
}

/// `c = sigmoid(f) c_before + sigmoid(i) tanh(g)` and `h = sigmoid(o) tanh(c)`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn forward(step: Forward<'_>, hidden_size: usize) {
    let lanes = step.gates.chunks_exact_mut(4 * hidden_size);
    let before = step.c_before.chunks_exact(hidden_size);
    let after = step
        .c
        .chunks_exact_mut(hidden_size)
        .zip(step.h.chunks_exact_mut(hidden_size));
    for ((gates, c_before), (c, h)) in lanes.zip(before).zip(after) {
        let (i, f, g, o) = split_gates(gates, hidden_size);
        for unit in 0..hidden_size {
            i[unit] = sigmoid(i[unit]);
            f[unit] = sigmoid(f[unit]);
            g[unit] = tanh(g[unit]);
            o[unit] = sigmoid(o[unit]);
            c[unit] = f[unit] * c_before[unit] + i[unit] * g[unit];
            h[unit] = o[unit] * tanh(c[unit]);
        }
    }
}

/// What the gradient of a step of some lanes reads and writes, as in [`Forward`].
pub(super) struct Backward<'a> {
    /// The activated gates, which become the gradients of their sums.
    pub(super) gates: &'a mut [f32],
    /// c before the step.
    pub(super) c_before: &'a [f32],
    /// c after it.
    pub(super) c: &'a [f32],
    /// The gradient of h after the step.
    pub(super) dh: &'a [f32],
    /// The gradient of c after the step, but for what comes through h; becomes that before it.
    pub(super) dc: &'a mut [f32],
}

/// The derivatives of [`forward`].
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn backward(step: Backward<'_>, hidden_size: usize) {
    let lanes = step.gates.chunks_exact_mut(4 * hidden_size);
    let c = step
        .c_before
        .chunks_exact(hidden_size)
        .zip(step.c.chunks_exact(hidden_size));
    let d = step
        .dh
        .chunks_exact(hidden_size)
        .zip(step.dc.chunks_exact_mut(hidden_size));
    for ((gates, (c_before, c)), (dh, dc)) in lanes.zip(c).zip(d) {
        let (i, f, g, o) = split_gates(gates, hidden_size);
        for unit in 0..hidden_size {
            let (input, forget, cell, output) = (i[unit], f[unit], g[unit], o[unit]);
            let squashed = tanh(c[unit]);
            let d_c = dc[unit] + dh[unit] * output * (1.0 - squashed * squashed);
            i[unit] = d_c * cell * input * (1.0 - input);
            f[unit] = d_c * c_before[unit] * forget * (1.0 - forget);
            g[unit] = d_c * input * (1.0 - cell * cell);
            o[unit] = dh[unit] * squashed * output * (1.0 - output);
            dc[unit] = d_c * forget;
        }
    }
}

/// The four gates of a lane.
#[inline(always)]
fn split_gates(
    gates: &mut [f32],
    hidden_size: usize,
) -> (&mut [f32], &mut [f32], &mut [f32], &mut [f32]) {
    let (i, rest) = gates.split_at_mut(hidden_size);
    let (f, rest) = rest.split_at_mut(hidden_size);
    let (g, o) = rest.split_at_mut(hidden_size);
    (i, f, g, &mut o[..hidden_size])
}

/// Turns rows of logits into the gradient of the summed cross-entropy, `softmax - one-hot`, and
/// returns that sum in nats.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn cross_entropy(logits: &mut [f32], targets: &[u32], vocab_size: usize) -> f64 {
    let mut nats = 0.0;
    for (row, &target) in logits.chunks_exact_mut(vocab_size).zip(targets) {
        let max = row
            .iter()
            .fold(f32::NEG_INFINITY, |max, &logit| max.max(logit));
        let expected = row[target as usize] - max;
        for logit in row.iter_mut() {
            *logit = exp(*logit - max);
        }
        let sum: f32 = row.iter().sum();
        let scale = 1.0 / sum;
        for probability in row.iter_mut() {
            *probability *= scale;
        }
        row[target as usize] -= 1.0;
        nats += f64::from(sum.ln() - expected);
    }
    nats
}
