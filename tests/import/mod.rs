//! Networks of other programs, against what these programs compute.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use charlet::format::Precision;
use charlet::{Model, Token};
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::import::{self, Foreign, Mapping, Marks, Matrix, Names, Original, Tokens};
use safetensors::SafeTensors;

use crate::support::tolerance::{CELL, LONG, STATE, Tolerance};
use crate::support::{memory, repository};

/// What the command says and writes.
mod command;
/// Files that say they are more than they are, and what failures leave.
mod limits;
/// What can't be imported, and the sentence for it.
mod refused;

/// The networks that `generate.py` has made.
const CASES: [&str; 20] = [
    "one_hot.safetensors",
    "no_bias.pt",
    "checkpoint.pth",
    "three.safetensors",
    "module.pt",
    "keras_1.keras",
    "keras_1.h5",
    "keras_2.keras",
    "keras_2.h5",
    "keras_2.weights.h5",
    "keras_embedding.keras",
    "keras_embedding.h5",
    "onnx_one_hot.onnx",
    "onnx_embedding.onnx",
    "onnx_dynamo.onnx",
    "onnx_step.onnx",
    "onnx_external.onnx",
    "onnx_dynamo_large.onnx",
    "onnx_keras_1.onnx",
    "onnx_keras_2.onnx",
];

/// A file of this folder.
fn file(name: &str) -> PathBuf {
    repository(&format!("tests/import/{name}"))
}

/// What a program has computed.
struct Expected {
    chars: String,
    tensors: HashMap<String, Tensor>,
}

impl Expected {
    fn load(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("expected/{name}.safetensors"));
        let bytes = std::fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        Self {
            chars: header.metadata().as_ref().unwrap()["chars"].clone(),
            tensors: candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap(),
        }
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = self.tensors[name].to_dtype(DType::F32).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn tokens(&self) -> Vec<usize> {
        self.floats("tokens")
            .iter()
            .map(|&token| token as usize)
            .collect()
    }
}

fn read(name: &str) -> Foreign {
    import::read(&file(name), &Mapping::default()).unwrap()
}

/// Compares the runtime's h, c and logits, and those of the plain computation, with what a program has computed.
fn compare(folder: &Path, name: &str, states: Tolerance, cells: Tolerance) {
    let foreign = import::read(&folder.join(name), &Mapping::default()).unwrap();
    let expected = Expected::load(folder, name);
    let names = Names::read(&expected.chars).unwrap();
    let tokens = Tokens::new(names, foreign.tokens(), &Marks::default()).unwrap();
    let network = foreign.network(&tokens).unwrap();
    let bytes = model_file(&network, tokens.alphabet(), Precision::F32).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let mut original = Original::new(&foreign);
    let [mut h, mut c, mut logits] = [const { Vec::new() }; 3];
    let [mut plain_h, mut plain_c, mut plain_logits] = [const { Vec::new() }; 3];
    let single =
        |values: &[f64]| -> Vec<f32> { values.iter().map(|&value| value as f32).collect() };
    for token in expected.tokens() {
        plain_logits.extend(single(&original.step(Some(token))));
        let ours = tokens.order().iter().position(|&at| at == Some(token));
        let ours = Token(ours.unwrap() as u16);
        let all = model.step(ours, &mut state, &mut workspace).unwrap();
        let mut by_number = vec![0.0; foreign.tokens()];
        for (logit, at) in all.iter().zip(tokens.order()) {
            by_number[at.unwrap()] = logit;
        }
        logits.extend(by_number);
        for layer in 0..foreign.layers.len() {
            plain_h.extend(single(original.hidden_state(layer)));
            plain_c.extend(single(original.cell_state(layer)));
            h.extend(model.hidden_state(&state, layer).unwrap());
            c.extend(model.cell_state(&state, layer).unwrap());
        }
    }
    for (what, h, c, logits) in [
        ("runtime", h, c, logits),
        ("plain", plain_h, plain_c, plain_logits),
    ] {
        let check = |of: &str, bounds: Tolerance, actual: &[f32]| {
            bounds.check_all(&format!("{name} {what} {of}"), actual, &expected.floats(of));
        };
        check("h", states, &h);
        check("c", cells, &c);
        check("logits", states, &logits);
    }
}

#[test]
fn every_step_is_as_in_the_other_program() {
    for name in CASES {
        compare(&file(""), name, STATE, CELL);
    }
}

/// What `tests/bench/import.py` has trained: the folder is named by an environment variable.
#[test]
#[ignore = "needs the networks that tests/bench/import.py trains"]
fn every_step_of_trained_networks_is_as_in_the_other_program() {
    let folder = std::env::var("CHARLET_IMPORTS").unwrap();
    let folder = Path::new(&folder);
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("expected")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        compare(
            folder,
            name.strip_suffix(".safetensors").unwrap(),
            LONG,
            LONG,
        );
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn layers_of_different_widths_are_filled_up() {
    let foreign = read("checkpoint.pth");
    let names = Names::read(&Expected::load(&file(""), "checkpoint.pth").chars).unwrap();
    let tokens = Tokens::new(names, foreign.tokens(), &Marks::default()).unwrap();
    // The second layer without its last unit.
    let mut narrow = foreign.clone();
    let narrowed = |matrix: &Matrix, rows: &[usize], columns: usize| {
        let values = rows
            .iter()
            .flat_map(|&row| matrix.row(row)[..columns].to_vec());
        Matrix::new(rows.len(), columns, values.collect()).unwrap()
    };
    let units: Vec<usize> = (0..20).filter(|row| row % 5 < 4).collect();
    let layer = &mut narrow.layers[1];
    layer.weight_ih = narrowed(&layer.weight_ih, &units, 5);
    layer.weight_hh = narrowed(&layer.weight_hh, &units, 4);
    layer.bias = units.iter().map(|&row| layer.bias[row]).collect();
    let rows: Vec<usize> = (0..12).collect();
    narrow.head.weight = narrowed(&narrow.head.weight, &rows, 4);
    let bytes = model_file(
        &narrow.network(&tokens).unwrap(),
        tokens.alphabet(),
        Precision::F32,
    );
    let bytes = bytes.unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let mut original = Original::new(&narrow);
    for token in [3, 1, 4, 1, 5, 9, 2, 6] {
        let expected = original.step(tokens.order()[token]);
        let logits = model
            .step(Token(token as u16), &mut state, &mut workspace)
            .unwrap();
        for (logit, at) in logits.iter().zip(tokens.order()) {
            STATE.check("logit", logit.into(), expected[at.unwrap()]);
        }
    }
}

#[test]
fn a_checkpoint_brings_its_characters() {
    let foreign = read("checkpoint.pth");
    let names: Vec<&str> = foreign
        .vocabularies
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["char2idx"]);
    let expected = Names::read(&Expected::load(&file(""), "checkpoint.pth").chars).unwrap();
    assert_eq!(foreign.vocabularies[0].1, expected);
}
