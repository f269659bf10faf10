//! exp, sigmoid and tanh against double precision.

use charlet::arithmetic::activation::{exp, sigmoid, tanh};

use crate::support::tolerance::{EXP_ULPS, SIGMOID_ULPS, SQUASHED, TANH_ULPS};

/// The distance between floats around a value, none smaller than among the smallest normal ones.
fn ulp(value: f64) -> f64 {
    let exponent = value.abs().log2().floor().max(-126.0);
    (exponent - 23.0).exp2()
}

/// Visits every `stride`-th float of both signs up to `limit`.
fn floats(limit: f32, stride: u32) -> impl Iterator<Item = f32> {
    let magnitudes = (0..=limit.to_bits()).step_by(stride as usize);
    magnitudes.flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)])
}

fn check_ulps(stride: u32) {
    for x in floats(87.0, stride) {
        let wide = f64::from(x);
        let cases = [
            ("exp", exp(x), wide.exp(), EXP_ULPS),
            (
                "sigmoid",
                sigmoid(x),
                1.0 / (1.0 + (-wide).exp()),
                SIGMOID_ULPS,
            ),
            ("tanh", tanh(x), wide.tanh(), TANH_ULPS),
        ];
        for (name, actual, exact, ulps) in cases {
            let error = (f64::from(actual) - exact).abs();
            assert!(
                error <= ulps * ulp(exact),
                "{name}({x:e}) = {actual:e}, off by {error:e}"
            );
            assert!(
                name == "exp" || error <= SQUASHED,
                "{name}({x:e}) is off by {error:e}"
            );
        }
    }
}

/// A prime stride visits all exponents and all low bits.
#[test]
fn errors_stay_within_the_documented_bounds() {
    check_ulps(1009);
}

/// All floats: a minute with optimisation, for when the formulas change.
#[test]
#[ignore = "takes minutes: cargo test --release -- --ignored activation"]
fn errors_stay_within_the_documented_bounds_for_all_floats() {
    check_ulps(1);
}

#[test]
fn extreme_arguments_have_their_limits() {
    assert_eq!(
        (exp(f32::NEG_INFINITY), exp(-88.0), exp(0.0)),
        (0.0, 0.0, 1.0)
    );
    assert_eq!(
        (exp(89.0), exp(f32::INFINITY)),
        (f32::INFINITY, f32::INFINITY)
    );
    assert_eq!((sigmoid(f32::INFINITY), sigmoid(1e30)), (1.0, 1.0));
    for x in [f32::NEG_INFINITY, -1e30, -88.0] {
        assert!(
            sigmoid(x).is_normal() && sigmoid(x) < 2e-38,
            "sigmoid({x}) = {}",
            sigmoid(x)
        );
    }
    assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
    assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
    assert_eq!(tanh(1e-40), 1e-40);
    assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
}

#[test]
fn tanh_is_odd_and_both_squashing_functions_stay_in_range() {
    for x in floats(f32::MAX, 50_021) {
        assert_eq!(tanh(-x).to_bits(), (-tanh(x)).to_bits());
        assert!(
            tanh(x).abs() <= 1.0 && (0.0..=1.0).contains(&sigmoid(x)),
            "{x:e}"
        );
    }
}
