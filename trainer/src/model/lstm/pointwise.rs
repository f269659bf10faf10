//! Gates, c and h of a step, forward and backward, vectorised for the processor at hand.
//!
//! The nonlinearities are those of the runtime, so that a network is trained with the arithmetic
//! that it will run on.

use charlet::arithmetic::activation::{exp, sigmoid, tanh};
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
        let mut gates = split_gates(gates, hidden_size);
        for units in Units::of(hidden_size) {
            match units {
                Units::Many(from) => forward_units::<MANY>(from, &mut gates, c_before, c, h),
                Units::One(from) => forward_units::<1>(from, &mut gates, c_before, c, h),
            }
        }
    }
}

#[inline(always)]
fn forward_units<const N: usize>(
    from: usize,
    [i, f, g, o]: &mut [&mut [f32]; 4],
    c_before: &[f32],
    c: &mut [f32],
    h: &mut [f32],
) {
    let input = map(load::<N>(i, from), sigmoid);
    let forget = map(load::<N>(f, from), sigmoid);
    let cell = map(load::<N>(g, from), tanh);
    let output = map(load::<N>(o, from), sigmoid);
    let mut after = load::<N>(c_before, from);
    for unit in 0..N {
        after[unit] = forget[unit] * after[unit] + input[unit] * cell[unit];
    }
    let mut hidden = map(after, tanh);
    for unit in 0..N {
        hidden[unit] *= output[unit];
    }
    store(i, from, input);
    store(f, from, forget);
    store(g, from, cell);
    store(o, from, output);
    store(c, from, after);
    store(h, from, hidden);
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
    for ((gates, c), (dh, dc)) in lanes.zip(c).zip(d) {
        let mut gates = split_gates(gates, hidden_size);
        for units in Units::of(hidden_size) {
            match units {
                Units::Many(from) => backward_units::<MANY>(from, &mut gates, c, dh, dc),
                Units::One(from) => backward_units::<1>(from, &mut gates, c, dh, dc),
            }
        }
    }
}

#[inline(always)]
fn backward_units<const N: usize>(
    from: usize,
    [i, f, g, o]: &mut [&mut [f32]; 4],
    (c_before, c): (&[f32], &[f32]),
    dh: &[f32],
    dc: &mut [f32],
) {
    let (mut input, mut forget) = (load::<N>(i, from), load::<N>(f, from));
    let (mut cell, mut output) = (load::<N>(g, from), load::<N>(o, from));
    let (before, squashed) = (load::<N>(c_before, from), map(load::<N>(c, from), tanh));
    let (dh, mut d_before) = (load::<N>(dh, from), load::<N>(dc, from));
    for unit in 0..N {
        let (i, f, g, o) = (input[unit], forget[unit], cell[unit], output[unit]);
        let squashed = squashed[unit];
        let d_c = d_before[unit] + dh[unit] * o * (1.0 - squashed * squashed);
        input[unit] = d_c * g * i * (1.0 - i);
        forget[unit] = d_c * before[unit] * f * (1.0 - f);
        cell[unit] = d_c * i * (1.0 - g * g);
        output[unit] = dh[unit] * squashed * o * (1.0 - o);
        d_before[unit] = d_c * f;
    }
    store(i, from, input);
    store(f, from, forget);
    store(g, from, cell);
    store(o, from, output);
    store(dc, from, d_before);
}

/// Units that are computed at once. They are taken out of their slices first, so that the compiler needn't
/// prove that none overlap: over the slices it computed one unit at a time.
const MANY: usize = 16;

/// Where to compute how many units.
enum Units {
    Many(usize),
    One(usize),
}

impl Units {
    /// All units: as many at once as there are, then the rest.
    #[inline(always)]
    fn of(hidden_size: usize) -> impl Iterator<Item = Self> {
        let rest = hidden_size - hidden_size % MANY;
        let many = (0..rest).step_by(MANY).map(Self::Many);
        many.chain((rest..hidden_size).map(Self::One))
    }
}

#[inline(always)]
fn load<const N: usize>(values: &[f32], from: usize) -> [f32; N] {
    let mut loaded = [0.0; N];
    loaded.copy_from_slice(&values[from..from + N]);
    loaded
}

/// As the array's own method, which isn't always inlined and then knows nothing of wide registers.
#[inline(always)]
fn map<const N: usize>(mut values: [f32; N], function: impl Fn(f32) -> f32) -> [f32; N] {
    for value in &mut values {
        *value = function(*value);
    }
    values
}

#[inline(always)]
fn store<const N: usize>(values: &mut [f32], from: usize, stored: [f32; N]) {
    values[from..from + N].copy_from_slice(&stored);
}

/// The four gates of a lane.
#[inline(always)]
fn split_gates(gates: &mut [f32], hidden_size: usize) -> [&mut [f32]; 4] {
    let (i, rest) = gates.split_at_mut(hidden_size);
    let (f, rest) = rest.split_at_mut(hidden_size);
    let (g, o) = rest.split_at_mut(hidden_size);
    [i, f, g, o]
}

/// Turns rows of logits into the gradient of the summed cross-entropy, `softmax - one-hot`, and
/// returns that sum in nats.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn cross_entropy(logits: &mut [f32], targets: &[u32], vocab_size: usize) -> f64 {
    let mut loss_sum = 0.0;
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
        loss_sum += f64::from(sum.ln() - expected);
    }
    loss_sum
}
