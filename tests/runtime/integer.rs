//! Integer models against the reference: h, c, logits and text, exactly, at each of 10,000 steps.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use charlet::format::{Input, Precision, WeightBits};
use charlet::{Backend, Error, Model, Rng, Sampler, Token};
use charlet_trainer::export::form::Form;
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::{Parameter, Shape};
use sha2::{Digest, Sha256};

use crate::runtime::model_file::reseal;
use crate::runtime::reference::{Draw, Reference};
use crate::support::{alphabet, hex, memory, with_backend};

/// A network with exact weights that no library's rounding can change: a share of 65,536ths from a
/// linear congruential generator, scaled by a power of two, changed by `edit`.
fn network(shape: Shape, edit: impl Fn(&Parameter, usize, f32) -> f32) -> Network {
    let mut seed = 12_345u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as f32 / 32_768.0 - 1.0
    };
    let width = (shape.hidden_size as f32).log2().ceil() as i32 / 2;
    let tensors: HashMap<String, Tensor> = shape
        .parameters()
        .into_iter()
        .map(|parameter| {
            let count = parameter.dims.iter().product::<usize>();
            let scale = if parameter.is_embedding() {
                2.0
            } else {
                4.0 * 0.5f32.powi(width)
            };
            let values: Vec<f32> = (0..count)
                .map(|at| edit(&parameter, at, next() * scale))
                .collect();
            let tensor = Tensor::from_vec(values, parameter.dims, &Device::Cpu).unwrap();
            (parameter.name, tensor)
        })
        .collect();
    Network::from_tensors(shape, &tensors).unwrap()
}

const PRECISIONS: [Precision; 2] = [Precision::I8, Precision::I4];

fn file(network: &Network, form: impl Into<Form>) -> Vec<u8> {
    let alphabet = alphabet(network.shape().vocab_size);
    model_file(network, &alphabet, form).unwrap()
}

/// What format version 2 adds.
const FORMS: [Form; 4] = [
    form(Precision::I8, Input::Embedding, WeightBits::Eight),
    form(Precision::I4, Input::Embedding, WeightBits::Eight),
    form(Precision::I4, Input::Table, WeightBits::Four),
    form(Precision::I4, Input::Embedding, WeightBits::Four),
];

const fn form(precision: Precision, input: Input, head_bits: WeightBits) -> Form {
    Form {
        precision,
        input,
        head_bits,
    }
}

fn shape(vocab_size: usize, hidden_size: usize, num_layers: usize) -> Shape {
    Shape {
        vocab_size,
        embedding_size: 3,
        hidden_size,
        num_layers,
    }
}

/// Runs a model with every backend that this machine has, and gives the digest of all states, logits
/// and tokens.
fn compare(name: &str, file: &[u8], start: Option<(i8, i32)>, steps: usize) -> String {
    let digest = |&backend: &Backend| {
        let name = format!("{name} on {backend}");
        with_backend(backend, || digest(&name, file, start, steps))
    };
    let digests: Vec<String> = Backend::available().iter().map(digest).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    digests[0].clone()
}

/// Runs a model and the reference side by side on tokens that are drawn from their logits.
fn digest(name: &str, file: &[u8], start: Option<(i8, i32)>, steps: usize) -> String {
    let model = Model::from_bytes(file).unwrap();
    let mut reference = Reference::new(file);
    let (mut state, mut workspace) = memory(&model);
    if let Some((h, c)) = start {
        for layer in 0..reference.h.len() {
            let hidden = reference.hidden;
            reference.h[layer][..hidden].fill(h.into());
            reference.c[layer].fill(c.into());
        }
        state.as_words_mut().copy_from_slice(&reference.words());
    }
    let vocab_size = reference.vocab;
    let draw = Draw {
        temperature: 0.8,
        top_k: vocab_size.div_ceil(2),
        top_p: 0.9,
    };
    let sampler = Sampler::with_temperature(0.8).unwrap();
    let sampler = sampler.top_k(draw.top_k).unwrap().top_p(0.9).unwrap();
    let (mut rng, mut same_rng) = (Rng::from_seed(1), Rng::from_seed(1));
    let mut digest = Sha256::new();
    let mut token = model.vocab().start();
    for step in 0..steps {
        let expected = reference.step(token.index());
        let logits = model.step(token, &mut state, &mut workspace).unwrap();
        let actual: Vec<i64> = logits.iter().map(|logit| (logit * 2048.0) as i64).collect();
        assert_eq!(actual, expected, "{name}: logits of step {step}");
        token = sampler.sample(logits, || rng.next_u32());
        let drawn = draw.token(&expected, same_rng.next_u32());
        assert_eq!(token, Token(drawn as u16), "{name}: token of step {step}");
        assert_eq!(
            state.as_words(),
            reference.words(),
            "{name}: state of step {step}"
        );
        for word in state.as_words() {
            digest.update(word.to_le_bytes());
        }
        for logit in actual {
            digest.update((logit as i32).to_le_bytes());
        }
        digest.update(token.0.to_le_bytes());
    }
    hex(&digest.finalize())
}

/// SHA-256 of states, logits and tokens of all 10,000 steps: the same on every machine.
const DIGESTS: [(usize, usize, [&str; 2]); 8] = [
    (
        1,
        1,
        [
            "b93917833a1df835bc0ab840a95fb8b2843ac74be2a0fa483325d54e6815b5a6",
            "bb11edb4600b99320e05e83858d3a7827ac99dba47dc750ccfe4ff0aef4fcb60",
        ],
    ),
    (
        7,
        2,
        [
            "b6efdb1adbde6a628c9ad6ca9ab7d5edab4014b721dd280a15859ab0dee6890a",
            "77a18c121033b88f6a9265c4ad0aaa2c89d042f0b4304a7d9dd74a0352cd39fe",
        ],
    ),
    (
        13,
        3,
        [
            "916ee3e3181bb9dada543aeead3a37bb1cee2e4c3c945aa9b1541641db084672",
            "5ac71bd9ff8ab0ae089518dc79712743e5463bee0de7ba2c558265e475ba2949",
        ],
    ),
    (
        32,
        2,
        [
            "cfeecc6926a25834a5aeb78d15121a8e5d4db6e3c9417e33929316f0a091de27",
            "572943c2fa11c6be86aff0fd829c82b51cd4f989daf6141659555744ab626fe8",
        ],
    ),
    (
        100,
        1,
        [
            "a659b191a3d3c1685a832440c268c987839899bb0cfc65eb123abfc591c97ab2",
            "b18144dca8f91389dd709e892fcfa34e2213c01d259dd6513fa1242601e731ab",
        ],
    ),
    (
        128,
        1,
        [
            "a5d1ee59aad5d8ec0886131600546f18083e0f2203930f57b52fbe260b61a891",
            "7fa1cdbb0b2fe669c1e4fe80d19f550e0628cfed74941259e4fd416ca2ea628f",
        ],
    ),
    (
        128,
        2,
        [
            "8a77933e2c692d4829839ad422972f501695ceee3812b84d94c7baf4ae9373c9",
            "55f74e096758f305a837f35626da9b65e5bd372842dab8afe6fe531960cc1a85",
        ],
    ),
    (
        256,
        1,
        [
            "20117d622388799b957bb236806787054320b529ac8292e8023fc139c9b06982",
            "216cecaed6afee45fdee14f2a4e7935e495b7e83b61e76022bcba1e665a771ba",
        ],
    ),
];

#[test]
fn ten_thousand_steps_are_exact() {
    let digests = |hidden: usize, layers: usize| {
        let network = network(shape(28 - hidden % 3, hidden, layers), |_, _, value| value);
        PRECISIONS.map(|precision| {
            let name = format!("{precision}, {layers} x {hidden}");
            let file = file(&network, precision);
            compare(&name, &file, Some((39, -56_789)), 10_000)
        })
    };
    let actual = DIGESTS.map(|(hidden, layers, _)| (hidden, layers, digests(hidden, layers)));
    let expected =
        DIGESTS.map(|(hidden, layers, digests)| (hidden, layers, digests.map(String::from)));
    assert_eq!(actual, expected);
}

#[test]
fn embeddings_and_small_heads_are_exact() {
    // Vocabulary, embedding, units, layers: sizes that are no multiples of anything, and an embedding that
    // is wider than the layers.
    for (vocab_size, embedding_size, hidden_size, num_layers) in [
        (1, 1, 1, 1),
        (2, 8, 8, 1),
        (6, 3, 5, 2),
        (28, 13, 33, 1),
        (27, 70, 9, 1),
        (9, 41, 12, 3),
        (65, 32, 64, 2),
    ] {
        let shape = Shape {
            vocab_size,
            embedding_size,
            hidden_size,
            num_layers,
        };
        let network = network(shape, |_, _, value| value);
        for form in FORMS {
            let file = file(&network, form);
            let name = format!("{form:?}, {shape:?}");
            for start in [(39, -56_789), (-128, i32::MIN)] {
                compare(&name, &file, Some(start), 1000);
            }
            let header = Model::from_bytes(&file).unwrap().header();
            assert_eq!(
                (header.input, header.head_bits),
                (form.input, form.head_bits)
            );
        }
    }
}

#[test]
fn weights_of_another_length_are_refused_before_they_are_looked_at() {
    let network = network(shape(5, 7, 2), |_, _, value| value);
    let plain = PRECISIONS.map(Form::from);
    for form in plain.into_iter().chain(FORMS) {
        let whole = file(&network, form);
        for len in [-64, -16, -1, 1, 16, 64].map(|by| whole.len().strict_add_signed(by)) {
            let mut other = whole.clone();
            // The scales of the last layer are invalid, too.
            other[whole.len() / 2..].fill(0xff);
            other.resize(len, 0xff);
            other[16..20].copy_from_slice(&(len as u32).to_le_bytes());
            let refused = Model::from_bytes(&reseal(&other)).map(|_| ());
            assert_eq!(refused, Err(Error::InvalidSizes), "{form:?}, {len} bytes");
        }
    }
}

/// Embeddings and weights of all bits, those of padding too: what the exporter doesn't write.
#[test]
fn embeddings_of_any_bytes_are_exact() {
    let shape = Shape {
        embedding_size: 6,
        ..shape(9, 8, 2)
    };
    let network = network(shape, |_, _, value| value * 0.25);
    for form in FORMS {
        let mut file = file(&network, form);
        let at = shifts_of(&file);
        let len = match form.input {
            Input::Embedding => 9 * 8,
            _ => 9 * 8 * 4,
        };
        file[at] += 2;
        for (index, byte) in file[at + 16..][..len].iter_mut().enumerate() {
            *byte = if index % 5 == 0 { 128 } else { 127 };
        }
        // After the scales, and biases where there is no table.
        let weights = at + 16 + usize::next_multiple_of(len, 16) + 16 * 8;
        let weights = weights
            + if form.input == Input::Embedding {
                32
            } else {
                0
            };
        file[weights..][..16 * 8].fill(0);
        compare("any bytes", &reseal(&file), Some((-128, 0)), 500);
    }
}

/// Weights that are all the same, rows that are all zero, scales far apart, gates that stay open.
#[test]
fn adversarial_weights_are_exact() {
    type Edit = fn(&Parameter, usize, f32) -> f32;
    let open = |parameter: &Parameter, _: usize, _: f32| {
        if parameter.name.ends_with(".bias") {
            30.0
        } else {
            0.001
        }
    };
    let edits: [(&str, Edit); 6] = [
        ("all negative", |_, _, _| -1.0),
        ("all zero", |_, _, _| 0.0),
        ("zero rows", |parameter, at, value| {
            let columns = parameter.dims.get(1).copied().unwrap_or(1);
            if (at / columns).is_multiple_of(3) {
                0.0
            } else {
                value
            }
        }),
        ("tiny", |_, _, value| value * 1e-20),
        ("scales far apart", |parameter, at, value| {
            let columns = parameter.dims.get(1).copied().unwrap_or(1);
            value * 4.0f32.powi((at / columns % 16) as i32 - 8)
        }),
        ("open gates", open),
    ];
    for (name, edit) in edits {
        for (hidden, layers) in [(5, 2), (16, 1)] {
            let network = network(shape(9, hidden, layers), edit);
            for precision in PRECISIONS {
                let file = file(&network, precision);
                for start in [(0, 0), (127, i32::MAX), (-128, i32::MIN)] {
                    compare(&format!("{name}, {precision}"), &file, Some(start), 500);
                }
            }
            for form in FORMS {
                let file = self::file(&network, form);
                compare(&format!("{name}, {form:?}"), &file, Some((-128, 0)), 300);
            }
        }
    }
}

/// With gates that stay open c grows by 1 with each step, far beyond what 16 bits hold.
#[test]
fn c_grows_without_breaking() {
    let open = |parameter: &Parameter, _: usize, _: f32| {
        if parameter.name.ends_with(".bias") {
            30.0
        } else {
            0.0
        }
    };
    let file = file(&network(shape(5, 3, 1), open), Precision::I8);
    compare("growing", &file, None, 10_000);
    let model = Model::from_bytes(&file).unwrap();
    let (mut state, mut workspace) = memory(&model);
    for _ in 0..10_000 {
        model.step(Token(0), &mut state, &mut workspace).unwrap();
    }
    let c: Vec<f32> = model.cell_state(&state, 0).unwrap().collect();
    assert!(c.iter().all(|&c| c > 8000.0), "{c:?}");
}

/// Where the weights' part of a file begins: with the shifts.
fn shifts_of(file: &[u8]) -> usize {
    let header_len = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    (32 + header_len).div_ceil(16) * 16
}

/// Where the first layer's scales are in a file for 9 tokens and some units.
fn scales_of(file: &[u8], units: usize) -> usize {
    shifts_of(file) + 16 + 9 * units * 4
}

/// Bytes that the exporter doesn't write but a file may have: weights of -64 or -8, and start values
/// of -128.
#[test]
fn the_lowest_weight_is_exact() {
    let network = network(shape(9, 8, 2), |_, _, value| value * 0.25);
    for precision in PRECISIONS {
        let mut file = file(&network, precision);
        let (shifts, scales) = (shifts_of(&file), scales_of(&file, 8));
        // Room for larger sums: more bits go with the first shift.
        file[shifts] += 2;
        file[shifts + 16..scales].fill(128);
        let quads = 2 * 8 / if precision == Precision::I4 { 2 } else { 1 };
        file[scales + 16 * 8..][..16 * quads].fill(0);
        compare("lowest weight", &reseal(&file), Some((-128, 0)), 500);
    }
}

#[test]
fn scales_that_could_overflow_are_refused() {
    for precision in PRECISIONS {
        let file = file(&network(shape(9, 80, 2), |_, _, value| value), precision);
        let (at, scales) = (shifts_of(&file), scales_of(&file, 80));
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut changed = file.clone();
            change(&mut changed);
            Model::from_bytes(&reseal(&changed)).err()
        };
        let (scale, weight) = (Some(Error::InvalidScale), Some(Error::InvalidWeight));
        assert_eq!(refused(&|_| ()), None);
        assert_eq!(refused(&|file| file[at] -= 1), weight, "less first shift");
        assert_eq!(refused(&|file| file[at] = 31), scale, "beyond the word");
        assert_eq!(refused(&|file| file[at + 1] = 25), scale, "too much");
        for byte in [1, 3] {
            assert_eq!(refused(&|file| file[scales + byte] = 0x80), scale);
        }
        // The last weight belongs to the head: it has 7 bits here.
        let large = |file: &mut Vec<u8>| *file.last_mut().unwrap() = 0x80;
        assert_eq!(refused(&large), weight);
    }
}

#[test]
fn states_of_integer_models_are_read_and_set_in_real_numbers() {
    let file = file(&network(shape(9, 7, 2), |_, _, value| value), Precision::I4);
    let model = Model::from_bytes(&file).unwrap();
    let (mut state, _) = memory(&model);
    let h = [0.5, -0.25, 1.0, -1.0, 7.0, f32::NAN, 0.1];
    let c = [0.5, -300.0, 32_767.5, -32_768.0, 1e9, f32::NAN, 0.0];
    model.set_layer(&mut state, 1, &h, &c).unwrap();
    let h: Vec<f32> = model.hidden_state(&state, 1).unwrap().collect();
    let c: Vec<f32> = model.cell_state(&state, 1).unwrap().collect();
    assert_eq!(
        h,
        [
            0.5,
            -0.25,
            127.0 / 128.0,
            -1.0,
            127.0 / 128.0,
            0.0,
            13.0 / 128.0
        ]
    );
    assert_eq!(c, [0.5, -300.0, 32_767.5, -32_768.0, 32_768.0, 0.0, 0.0]);
    assert!(
        model
            .hidden_state(&state, 0)
            .unwrap()
            .chain(model.cell_state(&state, 0).unwrap())
            .all(|v| v == 0.0)
    );
}
