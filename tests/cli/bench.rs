//! Backends give the same bits, and `charlet bench` says what it measured.

use std::process::{Command, Output};

use charlet::format::Precision;
use charlet::{Backend, Error, Model, Token};
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::shape::Shape;
use serde_json::Value;

use crate::support::{alphabet, memory, network, repository, with_backend};

fn charlet(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_charlet"));
    command.args(arguments).output().unwrap()
}

/// State and logits after every step of a random text.
fn trace(bytes: &[u8]) -> Vec<(Vec<u32>, Vec<u32>)> {
    let model = Model::from_bytes(bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let vocab_size = model.vocab().size();
    let mut steps = Vec::new();
    for step in 0..50 {
        let token = Token((step * step % vocab_size) as u16);
        let logits = model.step(token, &mut state, &mut workspace).unwrap();
        let logits = logits.iter().map(f32::to_bits).collect();
        steps.push((state.as_words().to_vec(), logits));
    }
    steps
}

#[test]
fn every_backend_gives_the_same_bits() {
    // Whole blocks, and units, rows and tokens left over.
    let shapes = [
        (5, 3, 2),
        (27, 128, 1),
        (33, 20, 3),
        (70, 37, 2),
        (18, 66, 2),
    ];
    for (vocab_size, hidden_size, num_layers) in shapes {
        let shape = Shape {
            vocab_size,
            embedding_size: 7,
            hidden_size,
            num_layers,
        };
        for precision in [Precision::F32, Precision::I8, Precision::I4] {
            let bytes = model_file(&network(shape), &alphabet(vocab_size), precision).unwrap();
            let expected = with_backend(Backend::Portable, || trace(&bytes));
            for &backend in Backend::available() {
                let actual = with_backend(backend, || trace(&bytes));
                assert!(actual == expected, "{shape:?} {precision} {backend}");
            }
        }
    }
}

#[test]
fn a_backend_that_is_missing_is_refused() {
    assert_eq!(Backend::Armv6M.select(), Err(Error::UnavailableBackend));
    assert!(Backend::available().contains(&Backend::current()));
    assert!(Backend::available().contains(&Backend::Portable));
}

#[test]
fn steps_of_files_and_random_weights_are_measured_on_every_backend() {
    let names = repository("models/names/names-i8.charlet");
    let names = names.to_str().unwrap();
    let arguments = [
        "bench",
        "step",
        names,
        "--shape",
        "9,8,2",
        "--seconds",
        "0.01",
    ];
    let output = charlet(&[&arguments[..], &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["features"].is_array());
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 3 * Backend::available().len());
    for (at, result) in results.iter().enumerate() {
        let backends = Backend::available();
        let expected = match at / backends.len() {
            0 => (names, "i8", 27, 128, 1),
            1 => ("9,8,2", "f32", 9, 8, 2),
            _ => ("9,8,2", "i8", 9, 8, 2),
        };
        let text = |key: &str| result[key].as_str().unwrap();
        let number = |key: &str| result[key].as_f64().unwrap();
        let sizes = ["vocab_size", "hidden_size", "layers"].map(|key| number(key) as u32);
        let actual = (
            text("model"),
            text("precision"),
            sizes[0],
            sizes[1],
            sizes[2],
        );
        assert_eq!(actual, expected);
        assert_eq!(text("backend"), backends[at % backends.len()].to_string());
        assert!(number("best_ns") > 0.0 && number("best_ns") <= number("median_ns"));
        let per_second = number("bytes_per_step") / number("median_ns") * 1e9;
        assert!((per_second / number("bytes_per_second") - 1.0).abs() < 1e-9);
    }
    // The shifts; 128 units and 7 blocks of the head, of four rows of 128 weights, and their scales;
    // what they start with, a row of the table, and 28 bytes that are padded.
    let bytes = 16 + (128 + 7) * (4 * 128 + 16) + 4 * 128 + 32;
    assert_eq!(results[0]["bytes_per_step"], bytes);

    let output = charlet(&arguments);
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), 2 + results.len(), "{table}");
    assert!(!table.contains('\x1b'), "{table}");
}

#[test]
fn training_is_measured_by_shape() {
    let shapes = ["9,8,2,5,3", "5,17,1,33,1"];
    let arguments = ["bench", "train", "--seconds", "0.01"];
    let arguments = [
        &arguments[..],
        &["--shape", shapes[0], "--shape", shapes[1]],
    ]
    .concat();
    let output = charlet(&[&arguments[..], &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["threads"].as_u64().unwrap() >= 1);
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), shapes.len());
    for (result, shape) in results.iter().zip(shapes) {
        let number = |key: &str| result[key].as_f64().unwrap();
        let close = |value: f64, expected: f64| (value / expected - 1.0).abs() < 1e-9;
        let sizes = ["vocab_size", "hidden_size", "layers", "batch", "window"];
        let sizes = sizes.map(|key| number(key) as usize);
        assert_eq!(sizes.map(|size| size.to_string()).join(","), shape);
        let [vocab_size, hidden_size, layers, batch, window] = sizes;
        let per_second = (batch * window) as f64 / number("step_ms") * 1e3;
        assert!(close(number("chars_per_second"), per_second));
        // Recurrent and deeper input weights, and the head's.
        let weights = 4 * hidden_size * hidden_size * (2 * layers - 1) + vocab_size * hidden_size;
        let gflops = 6e-9 * weights as f64 * per_second;
        assert!(close(number("gflops"), gflops));
        assert!(close(
            number("share_of_matmul"),
            gflops / number("matmul_gflops")
        ));
        let optimizer = number("optimizer_ms");
        assert!(optimizer > 0.0 && optimizer < number("step_ms"));
        let profile = |way: &str| {
            let profile = result[way].as_object().unwrap().clone();
            let took = |name: &String| profile[name].as_f64().unwrap() > 0.0;
            let mut names: Vec<String> =
                profile.keys().filter(|name| took(name)).cloned().collect();
            names.sort();
            names
        };
        let mut expected = vec![
            "gather",
            "head",
            "input",
            "pointwise",
            "recurrent",
            "weights",
        ];
        if layers == 1 {
            expected.retain(|&name| name != "input");
        }
        if window == 1 {
            // There is no step from anything but zero.
            expected.retain(|&name| name != "recurrent");
        }
        assert_eq!(profile("forward_ms"), expected);
        expected.retain(|&name| name != "gather");
        assert_eq!(profile("backward_ms"), expected);
        assert!(
            result["peak_bytes"]
                .as_u64()
                .is_none_or(|bytes| bytes > 1 << 20)
        );
    }

    let output = charlet(&arguments);
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), 2 + 3 * shapes.len(), "{table}");
    assert!(!table.contains('\x1b'), "{table}");

    for (shape, word) in [
        ("9,8,2", "5 numbers"),
        ("9,8,2,0,3", "lines"),
        ("1,8,2,5,3", "tokens"),
    ] {
        let output = charlet(&["bench", "train", "--shape", shape]);
        assert!(!output.status.success(), "{shape}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(word), "{shape}: {message}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let refused = [
        (&["--shape", "1,8,1"][..], "16,384 tokens"),
        (&["--shape", "9,0,1"], "hidden units"),
        (&["--shape", "9,8,17"], "layers"),
        (&["--shape", "9,8"], "3 numbers"),
        (&["--shape", "9,8,1", "--precision", "i9"], "i9"),
        (&["--shape", "9,8,1", "--seconds", "0"], "seconds"),
        (&[], "MODEL"),
        (&["missing.charlet"], "missing.charlet"),
    ];
    for (arguments, word) in refused {
        let output = charlet(&[&["bench", "step"], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(word), "{arguments:?}: {message}");
    }
}
