//! Random choices against their definition.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use charlet::format::Precision;
use charlet::{Error, Model, Rng, Sampler, Session, Token};
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::util::rng::Streams;

use crate::support::tolerance::FREQUENCY;
use crate::support::{alphabet, memory, model_of, small_model};

/// A "generator" that counts through evenly spaced numbers: with it, frequencies are probabilities.
struct Even {
    next: u32,
    step: u32,
}

impl Even {
    const COUNT: u32 = 1 << 14;

    fn new() -> Self {
        let step = u32::MAX / Self::COUNT;
        Self {
            next: step / 2,
            step,
        }
    }
}

impl Even {
    fn next_u32(&mut self) -> u32 {
        let next = self.next;
        self.next = next.wrapping_add(self.step);
        next
    }
}

/// The share of each token among evenly spaced draws.
fn frequencies(logits: &[f32], sampler: Sampler, precision: Precision) -> Vec<f64> {
    let bytes = model_of(logits, precision);
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let mut rng = Even::new();
    let mut counts = vec![0u32; logits.len()];
    for _ in 0..Even::COUNT {
        let logits = model.step(Token(0), &mut state, &mut workspace).unwrap();
        counts[sampler.sample(logits, || rng.next_u32()).index()] += 1;
    }
    counts
        .into_iter()
        .map(|count| f64::from(count) / f64::from(Even::COUNT))
        .collect()
}

/// The probabilities by their definition, with sorting and in double precision.
fn probabilities(logits: &[f32], temperature: f64, top_k: usize, top_p: f64) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit - max) / temperature).exp();
    let mut ranked: Vec<(usize, f64)> = logits.iter().map(|&l| weight(l)).enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(top_k);
    let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
    let mut mass = 0.0;
    let kept = ranked.iter().take_while(|(_, weight)| {
        let is_needed = mass < top_p * total;
        mass += weight;
        is_needed
    });
    let kept: Vec<(usize, f64)> = kept.copied().collect();
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    let mut probabilities = vec![0.0; logits.len()];
    for (token, weight) in kept {
        probabilities[token] = weight / total;
    }
    probabilities
}

/// Both arithmetics.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::I8];

#[test]
fn frequencies_are_the_defined_probabilities() {
    let mut random = Streams::new(8).weights;
    for case in 0..40 {
        let count = [2, 3, 5, 28][case % 4];
        // Exact in the format of integer logits too.
        let mut logit = || (2.0 * random.normal() * 2048.0).round() / 2048.0;
        let logits: Vec<f32> = (0..count).map(|_| logit()).collect();
        let temperature = [0.2, 0.5, 1.0, 1.2][case / 4 % 4];
        let top_k = [count, 1 + count / 2, 1][case % 3];
        let top_p = [1.0, 0.9, 0.3][case / 3 % 3];
        let sampler = Sampler::with_temperature(temperature).unwrap();
        let sampler = sampler.top_k(top_k).unwrap().top_p(top_p).unwrap();
        let expected = probabilities(&logits, temperature.into(), top_k, top_p.into());
        for precision in PRECISIONS {
            let actual = frequencies(&logits, sampler, precision);
            for (token, (&actual, &expected)) in actual.iter().zip(&expected).enumerate() {
                let what = format!("{precision} case {case}, token {token}");
                FREQUENCY.check(&what, actual, expected);
                assert!(
                    expected > 0.0 || actual == 0.0,
                    "{what}: {actual} instead of 0"
                );
            }
        }
    }
}

#[test]
fn of_equal_tokens_the_first_rank_higher() {
    let logits = [1.0, 3.0, 3.0, 3.0, 0.0];
    let sampler = Sampler::with_temperature(1.0).unwrap();
    for precision in PRECISIONS {
        let top_2 = frequencies(&logits, sampler.top_k(2).unwrap(), precision);
        let kept: Vec<bool> = top_2.iter().map(|&share| share > 0.0).collect();
        assert_eq!(kept, [false, true, true, false, false]);
        assert_eq!(frequencies(&logits, Sampler::argmax(), precision)[1], 1.0);
        assert_eq!(
            frequencies(&logits, sampler.top_p(0.01).unwrap(), precision)[1],
            1.0
        );
    }
}

#[test]
fn a_low_temperature_is_greedy_and_a_high_one_even() {
    let logits = [1.0, 1.5, -2.0, 1.4];
    for precision in PRECISIONS {
        for low in [1e-3, 1e-9] {
            let sampler = Sampler::with_temperature(low).unwrap();
            assert_eq!(frequencies(&logits, sampler, precision)[1], 1.0);
        }
        for high in [1e4, 1e9] {
            let sampler = Sampler::with_temperature(high).unwrap();
            for share in frequencies(&logits, sampler, precision) {
                assert!(
                    (share - 0.25).abs() < 1e-3,
                    "{precision} at {high}: {share}"
                );
            }
        }
    }
}

#[test]
fn impossible_settings_are_refused() {
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 8.0] {
        assert_eq!(
            Sampler::with_temperature(temperature),
            Err(Error::InvalidTemperature)
        );
    }
    assert_eq!(Sampler::argmax().top_k(0), Err(Error::InvalidTopK));
    for top_p in [0.0, -0.1, 1.1, f32::NAN] {
        assert_eq!(Sampler::argmax().top_p(top_p), Err(Error::InvalidTopP));
    }
}

#[test]
fn more_tokens_than_there_are_keep_all() {
    let logits = [0.5, 1.5, -0.5];
    for precision in PRECISIONS {
        let all = Sampler::with_temperature(1.0).unwrap();
        let shares = |sampler| frequencies(&logits, sampler, precision);
        for top_k in [3, 4, usize::MAX] {
            assert_eq!(shares(all.top_k(top_k).unwrap()), shares(all));
        }
    }
}

#[test]
fn logits_that_overflow_still_choose_a_token() {
    for logits in [[f32::MAX, f32::MIN, 0.0], [f32::MIN; 3], [f32::MAX; 3]] {
        for sampler in [
            Sampler::argmax(),
            Sampler::with_temperature(0.01).unwrap().top_p(0.5).unwrap(),
        ] {
            for precision in PRECISIONS {
                let total: f64 = frequencies(&logits, sampler, precision).iter().sum();
                assert_eq!(total, 1.0);
            }
        }
    }
}

/// Weights near the largest float make sums overflow and logits that are not numbers.
#[test]
fn logits_that_are_not_numbers_still_choose_a_token() {
    let shape = Shape {
        vocab_size: 3,
        embedding_size: 1,
        hidden_size: 2,
        num_layers: 1,
    };
    let tensors: HashMap<String, Tensor> = shape
        .parameters()
        .into_iter()
        .map(|parameter| {
            let count = parameter.dims.iter().product::<usize>();
            let sign = |at: usize| {
                if at.is_multiple_of(2) {
                    f32::MAX
                } else {
                    -f32::MAX
                }
            };
            let values: Vec<f32> = (0..count).map(sign).collect();
            (
                parameter.name,
                Tensor::from_vec(values, parameter.dims, &Device::Cpu).unwrap(),
            )
        })
        .collect();
    let network = Network::from_tensors(shape, &tensors).unwrap();
    // The folded table would be infinite, which a model file can't hold.
    let bytes = model_file(&network, &alphabet(3), Precision::F32).unwrap();
    assert_eq!(
        Model::from_bytes(&bytes).err(),
        Some(Error::NonFiniteWeight)
    );

    let bytes = model_of(&[0.5, 1.5, -0.5], Precision::F32);
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    model
        .set_layer(&mut state, 0, &[f32::NAN], &[f32::INFINITY])
        .unwrap();
    let sampler = Sampler::with_temperature(1.0)
        .unwrap()
        .top_k(2)
        .unwrap()
        .top_p(0.9)
        .unwrap();
    for sampler in [Sampler::argmax(), sampler] {
        let logits = model.step(Token(0), &mut state, &mut workspace).unwrap();
        assert!(logits.iter().all(f32::is_nan));
        assert!(model.vocab().contains(sampler.sample(logits, || 1)));
    }
}

#[test]
fn the_same_seed_gives_the_same_text_and_a_mark_ends_it() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let mut session = Session::boxed(&model);
    let mut text = |seed| -> String {
        let sampler = Sampler::with_temperature(1.0).unwrap();
        let mut rng = Rng::from_seed(seed);
        let mut generator = session.generate(sampler, || rng.next_u32());
        let text = generator.by_ref().take(1000).collect();
        assert_eq!(generator.next(), None, "it has ended");
        assert_eq!(
            session.next_input(),
            model.vocab().start(),
            "the next can start"
        );
        text
    };
    let mut texts = Vec::new();
    for seed in 0..20 {
        let first = text(seed);
        assert_eq!(first, text(seed));
        texts.push(first);
    }
    assert!(texts.iter().any(|text| text.len() > 3) && texts.iter().any(|text| *text != texts[0]));
}
