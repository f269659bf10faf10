//! Every bound of a comparison with real numbers, in one place and with its reason.

/// The largest difference that is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Difference of any size.
    pub absolute: f64,
    /// Difference as a share of the expected value, beside the absolute one.
    pub relative: f64,
}

impl Tolerance {
    const fn new(absolute: f64, relative: f64) -> Self {
        Self { absolute, relative }
    }

    /// Fails if a value differs too much.
    pub fn check(self, what: &str, actual: f64, expected: f64) {
        let allowed = self.absolute + self.relative * expected.abs();
        let difference = (actual - expected).abs();
        assert!(
            difference <= allowed,
            "{what}: {actual} instead of {expected}, off by {difference:e}"
        );
    }

    /// Fails if any of the values differs too much.
    pub fn check_all(self, what: &str, actual: &[f32], expected: &[f32]) {
        assert_eq!(
            actual.len(),
            expected.len(),
            "{what}: another number of values"
        );
        for (at, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
            self.check(&format!("{what}[{at}]"), actual.into(), expected.into());
        }
    }
}

/// h and logits after up to 50 steps in single precision, against double precision. PyTorch's own
/// single precision is off by up to 1.3e-7 in h; sums of 256 products in another order, and
/// nonlinearities with 3 units in the last place, by a few times that.
pub const STATE: Tolerance = Tolerance::new(1e-6, 1e-6);

/// c, which grows beyond 1 and carries its error on; PyTorch's single precision: 5e-7.
pub const CELL: Tolerance = Tolerance::new(2e-6, 1e-6);

/// All values of the saturated case: sums of gates reach 147, where a float is exact to 1.5e-5
/// only, and the open gates pass all of that on; PyTorch's single precision: 1.3e-5.
pub const SATURATED: Tolerance = Tolerance::new(1e-4, 2e-6);

/// States after 10,000 steps: errors don't grow, since the network forgets; PyTorch: 1e-6.
pub const LONG: Tolerance = Tolerance::new(3e-6, 1e-6);

/// Sums of 10,000 states, each with an error of its own, that reach 25,000. They are stored in
/// single precision, which rounds them by up to 1e-3; PyTorch's states in single precision: 6e-4.
pub const LONG_SUM: Tolerance = Tolerance::new(2e-3, 1e-6);

/// The fused network, the composed one and the runtime among each other: as against PyTorch, twice,
/// since each has an error of its own.
pub const BETWEEN_OURS: Tolerance = Tolerance::new(2e-6, 2e-6);

/// The same between ours and another program's single precision over 1,000 steps: as [`LONG`], twice.
/// `tests/bench/check_export.py` reads it here.
#[allow(dead_code, reason = "a script reads it")]
pub const BETWEEN_PROGRAMS: Tolerance = Tolerance::new(6e-6, 2e-6);

/// The mean loss of a batch in nats; PyTorch's single precision: 8e-8.
pub const LOSS: Tolerance = Tolerance::new(1e-6, 1e-6);

/// Gradients of a mean loss, which are below 1; PyTorch's single precision: 1.3e-8.
pub const GRADIENT: Tolerance = Tolerance::new(1e-6, 1e-5);

/// A step of the GPU's kernels, in single precision, against their formulas in double: a few roundings of
/// values below 4.
pub const KERNEL: Tolerance = Tolerance::new(1e-6, 1e-6);

/// Mean losses, states and their gradients on a GPU against the processor: sums in another order, with
/// fused multiplications, and CUDA's exp and tanh, which are off by up to 2 units in the last place. As
/// between ours, twice; no GPU was at hand yet to see how much of it is needed.
#[cfg(feature = "cuda")]
pub const GPU: Tolerance = Tolerance::new(4e-6, 2e-5);

/// Central differences of a loss in single precision: the loss is exact to about 1e-6, divided by
/// twice the step of 1e-2, and the curvature adds its share.
pub const FINITE_DIFFERENCE: Tolerance = Tolerance::new(1e-3, 2e-2);

/// exp, sigmoid and tanh in units in the last place: what their documentation promises.
pub const EXP_ULPS: f64 = 1.1;
pub const SIGMOID_ULPS: f64 = 2.6;
pub const TANH_ULPS: f64 = 3.0;
/// A unit in the last place of 1, twice: no value of sigmoid or tanh is further off than this.
pub const SQUASHED: f64 = 2.4e-7;

/// Shares of 16,384 evenly spaced draws against probabilities in double precision: a draw more or
/// less at both ends of a token's range is 1.2e-4; the integer arithmetic's powers of two are off by
/// up to 7e-5, the temperature's 16 bits by 2e-4 for a weight that almost vanishes, and weights are
/// whole 65536ths.
pub const FREQUENCY: Tolerance = Tolerance::new(2e-4, 1e-3);

/// Probabilities in single precision against softmax in double precision: exp is exact to 3 units in
/// the last place, and a sum of 27 adds a few.
pub const PROBABILITY: Tolerance = Tolerance::new(1e-6, 1e-6);

/// The same in integers: as frequencies, without the draws.
pub const FIXED_PROBABILITY: Tolerance = Tolerance::new(1e-4, 1e-3);

/// The mean loss of a text by the runtime against that of the trainer, per character: rounding
/// errors of single characters cancel out.
pub const EVALUATION: Tolerance = Tolerance::new(1e-5, 0.0);

/// The loss of an integer model against the same network in single precision with its weights
/// rounded: h has 12 bits, sums have 11, and sigmoid and tanh are off by up to 1.6e-4.
pub const INTEGER_LOSS: Tolerance = Tolerance::new(1e-3, 0.0);

/// Logits and states of an integer model against its own weights without the roundings of h, sums and tables, over 50
/// steps: h is off by half of 1/128 in every step, of which the network's own feedback makes up to 0.02 in h and 0.08
/// in c.
pub const UNROUNDED: Tolerance = Tolerance::new(0.1, 0.01);

/// What 8 bits a weight may cost in nats per character: the project's goal.
pub const QUANTIZATION: Tolerance = Tolerance::new(2e-3, 0.0);

/// What 4 bits may cost, of networks that were trained with dropped weights: the same.
pub const QUANTIZATION_I4: Tolerance = Tolerance::new(2e-2, 0.0);

/// The shipped model's loss against its card, which has five digits after the point.
pub const CARD: Tolerance = Tolerance::new(6e-6, 0.0);

/// A run's memory as estimated, in parts of what was measured: never much less, or a run is killed; never much more, or
/// one is refused that would fit.
pub const MEMORY: std::ops::RangeInclusive<f64> = 0.9..=1.6;
