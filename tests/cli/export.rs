//! Networks for ONNX, PyTorch and C say what the model says.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use candle_core::{Device, Tensor};
use charlet::format::{Header, Precision};
use charlet::{Model, Token};
use charlet_trainer::data::alphabet::Alphabet;
use charlet_trainer::export::exported::{Description, METADATA_KEY};
use charlet_trainer::export::model_file::{header, with_header};
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::util::onnx::{self, Size, data_type};
use prost::Message;
use safetensors::SafeTensors;

use crate::support::place::{Place, SHORT, lines};
use crate::support::tolerance::{CELL, LONG, STATE, Tolerance, UNROUNDED};
use crate::support::{memory, repository};

/// A folder with a run of two layers in it.
fn with_run() -> Place {
    let place = Place::new();
    place.write("data.txt", lines());
    let train = ["train", "data.txt", "--layers", "2", "--out", "run"];
    place.succeed(&[&train[..], &SHORT].concat());
    place
}

const BEST: &str = "run/best.safetensors";
/// The model of the same weights.
const MODEL: &str = "run/data.charlet";

/// A network's weights as they were exported: name, sizes, values.
type Weights = HashMap<String, (Vec<usize>, Vec<f32>)>;

fn floats(bytes: &[u8]) -> Vec<f32> {
    let values = bytes.as_chunks().0.iter();
    values.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// An ONNX file, computed as ONNX defines its operators: one token of one text at a time, in double precision.
struct OnnxNetwork {
    graph: onnx::Graph,
    weights: Weights,
    /// h and c, and everything that the last step gave.
    values: HashMap<String, Vec<f64>>,
}

impl OnnxNetwork {
    fn new(file: &onnx::Model) -> Self {
        let graph = file.graph.clone().unwrap();
        let weights = graph.initializer.iter().map(|tensor| {
            let dims: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
            let values = match tensor.data_type {
                data_type::FLOAT => floats(&tensor.raw_data),
                data_type::INT64 => {
                    let values = tensor.raw_data.as_chunks().0.iter();
                    values
                        .map(|bytes| i64::from_le_bytes(*bytes) as f32)
                        .collect()
                }
                other => panic!("{} has numbers of kind {other}", tensor.name),
            };
            assert_eq!(
                values.len(),
                dims.iter().product::<usize>(),
                "{}",
                tensor.name
            );
            (tensor.name.clone(), (dims, values))
        });
        let weights: Weights = weights.collect();
        let state = sizes(&graph.input[1]);
        let len = size(&state[0]) * size(&state[2]);
        let values = ["h", "c"].map(|name| (name.to_owned(), vec![0.0; len]));
        Self {
            graph,
            weights,
            values: values.into(),
        }
    }

    /// Feeds a token, and takes the next state for the state.
    fn step(&mut self, token: Token) {
        for node in &self.graph.node {
            let names: Vec<&str> = node.input.iter().map(String::as_str).collect();
            let value = |at: usize| &self.values[names[at]];
            let weight = |at: usize| &self.weights[names[at]];
            let setting = |name: &str| {
                let mut settings = node.attribute.iter();
                settings
                    .find(|setting| setting.name == name)
                    .unwrap()
                    .i
                    .unwrap()
            };
            let results = match (node.op_type.as_str(), &names[..]) {
                ("Gather", [_, "token"]) => {
                    let (dims, rows) = weight(0);
                    vec![doubles(&rows[token.index() * dims[1]..][..dims[1]])]
                }
                ("OneHot", ["token", ..]) => {
                    assert_eq!((&weight(1).0, &weight(2).1), (&vec![], &vec![0.0, 1.0]));
                    let mut one = vec![0.0; weight(1).1[0] as usize];
                    one[token.index()] = 1.0;
                    vec![one]
                }
                ("Split", [_]) => {
                    assert_eq!(setting("axis"), 0);
                    let len = value(0).len() / node.output.len();
                    value(0).chunks(len).map(<[f64]>::to_vec).collect()
                }
                ("Concat", _) => {
                    assert_eq!(setting("axis"), 0);
                    vec![(0..names.len()).flat_map(|at| value(at).clone()).collect()]
                }
                ("Squeeze", [_, _]) => {
                    assert_eq!(weight(1), &(vec![1], vec![1.0]));
                    vec![value(0).clone()]
                }
                ("LSTM", [_, _, _, _, "", _, _]) => {
                    assert_eq!(setting("hidden_size"), value(6).len() as i64);
                    let (h, c) = lstm(value(0), [1, 2, 3].map(weight), value(5), value(6));
                    vec![h.clone(), h, c]
                }
                ("MatMul", [_, _]) => {
                    let (dims, rows) = weight(1);
                    let column = |column| {
                        let of =
                            |(row, x): (usize, &f64)| x * f64::from(rows[row * dims[1] + column]);
                        value(0).iter().enumerate().map(of).sum()
                    };
                    vec![(0..dims[1]).map(column).collect()]
                }
                ("Add", [_, _]) => {
                    let sums = value(0).iter().zip(doubles(&weight(1).1));
                    vec![sums.map(|(sum, bias)| sum + bias).collect()]
                }
                other => panic!("{other:?}"),
            };
            let outputs = node.output.iter().cloned();
            assert_eq!(outputs.len(), results.len(), "{}", node.op_type);
            let results: Vec<_> = outputs.zip(results).collect();
            self.values.extend(results);
        }
        for (state, next) in [("h", "h_out"), ("c", "c_out")] {
            self.values
                .insert(state.to_owned(), self.values[next].clone());
        }
    }

    fn value(&self, name: &str) -> Vec<f32> {
        self.values[name]
            .iter()
            .map(|&value| value as f32)
            .collect()
    }
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

/// ONNX's LSTM: gates i, o, f, c; W, R and both biases of one direction.
fn lstm(
    x: &[f64],
    [w, r, b]: [&(Vec<usize>, Vec<f32>); 3],
    h: &[f64],
    c: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let size = h.len();
    assert_eq!(w.0, [1, 4 * size, x.len()]);
    assert_eq!(r.0, [1, 4 * size, size]);
    assert_eq!(b.0, [1, 8 * size]);
    let dot = |(_, matrix): &(Vec<usize>, Vec<f32>), row: usize, x: &[f64]| -> f64 {
        let row = doubles(&matrix[row * x.len()..][..x.len()]);
        row.iter().zip(x).map(|(weight, x)| weight * x).sum()
    };
    let gate = |gate: usize, unit: usize| {
        let row = gate * size + unit;
        let biases = f64::from(b.1[row]) + f64::from(b.1[4 * size + row]);
        dot(w, row, x) + dot(r, row, h) + biases
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let cells: Vec<f64> = (0..size)
        .map(|unit| {
            sigmoid(gate(2, unit)) * c[unit] + sigmoid(gate(0, unit)) * gate(3, unit).tanh()
        })
        .collect();
    let h = cells.iter().enumerate();
    let h = h
        .map(|(unit, c)| sigmoid(gate(1, unit)) * c.tanh())
        .collect();
    (h, cells)
}

fn sizes(value: &onnx::ValueInfo) -> Vec<Size> {
    let kind = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    let dims = &kind.shape.as_ref().unwrap().dim;
    dims.iter().map(|dim| dim.size.clone().unwrap()).collect()
}

fn size(size: &Size) -> usize {
    match size {
        Size::Value(value) => *value as usize,
        Size::Name(name) => panic!("{name} is free"),
    }
}

/// Exports to ONNX, and gives the file and what the command says.
fn onnx_of(place: &Place, model: &str) -> (onnx::Model, String) {
    let output = place.run(&["export", model, "--to", "onnx", "-o", "out.onnx"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let bytes = fs::read(place.path("out.onnx")).unwrap();
    (onnx::Model::decode(&bytes[..]).unwrap(), said)
}

/// Fails if the network says anything else than a model, at any of 50 steps.
fn compare(what: &str, file: &onnx::Model, model: &[u8], [state, cell]: [Tolerance; 2]) {
    let model = Model::from_bytes(model).unwrap();
    let vocab_size = model.vocab().size() as u32;
    let (mut memory, mut workspace) = memory(&model);
    let mut network = OnnxNetwork::new(file);
    let mut token = u32::from(model.vocab().start().0);
    for step in 0..50 {
        let next = Token(token as u16);
        network.step(next);
        let logits = model.step(next, &mut memory, &mut workspace).unwrap();
        let logits: Vec<f32> = logits.iter().collect();
        let layers = 0..usize::from(model.header().num_layers);
        let h = layers
            .clone()
            .flat_map(|layer| model.hidden_state(&memory, layer).unwrap());
        let c = layers.flat_map(|layer| model.cell_state(&memory, layer).unwrap());
        let (h, c): (Vec<f32>, Vec<f32>) = (h.collect(), c.collect());
        let what = |name: &str| format!("{what}: {name} after step {step}");
        state.check_all(&what("logits"), &network.value("logits"), &logits);
        state.check_all(&what("h"), &network.value("h_out"), &h);
        cell.check_all(&what("c"), &network.value("c_out"), &c);
        token = (token * 5 + 7) % vocab_size;
    }
}

fn description(file: &onnx::Model) -> Description {
    let [property] = &file.metadata_props[..] else {
        panic!("{:?}", file.metadata_props);
    };
    assert_eq!(property.key, METADATA_KEY);
    Description::read(&property.value).unwrap()
}

#[test]
fn onnx_has_the_state_as_inputs_and_outputs_and_says_what_the_model_says() {
    let place = with_run();
    let (file, said) = onnx_of(&place, BEST);
    assert_eq!(said, "");
    let graph = file.graph.clone().unwrap();
    let free = |name: &str| Size::Name(name.to_owned());
    let state = [Size::Value(2), free("batch"), Size::Value(8)];
    let tokens = [free("steps"), free("batch")];
    let model = fs::read(place.path(MODEL)).unwrap();
    let vocab_size = Model::from_bytes(&model).unwrap().vocab().size();
    let logits = [&tokens[..], &[Size::Value(vocab_size as i64)]].concat();
    let expected: [(&[Size], &str); 6] = [
        (&tokens, "token"),
        (&state, "h"),
        (&state, "c"),
        (&logits, "logits"),
        (&state, "h_out"),
        (&state, "c_out"),
    ];
    for (value, (dims, name)) in graph.input.iter().chain(&graph.output).zip(expected) {
        assert_eq!((sizes(value).as_slice(), value.name.as_str()), (dims, name));
    }
    let operators: Vec<&str> = graph
        .node
        .iter()
        .map(|node| node.op_type.as_str())
        .collect();
    let layers = ["LSTM", "Squeeze", "LSTM", "Squeeze", "Concat", "Concat"];
    let begin = ["Gather", "Split", "Split"];
    assert_eq!(
        operators,
        [&begin[..], &layers, &["MatMul", "Add"]].concat()
    );
    let description = description(&file);
    let header = Model::from_bytes(&model).unwrap().header();
    assert_eq!(description.alphabet, Alphabet::of_model(&header));
    assert_eq!(description.embedding_size, 4);
    compare("checkpoint", &file, &model, [STATE, CELL]);
}

/// The gates back in the order i, f, g, o, and both biases as one.
fn ours(gates: &[f32]) -> Vec<f32> {
    let len = gates.len() / 4;
    let gates = [0, 2, 3, 1].map(|gate| &gates[gate * len..][..len]);
    gates.concat()
}

/// The model file of weights by our names, with what the metadata says.
fn file_of(mut weights: Weights, description: &Description) -> Vec<u8> {
    let vocab = description.alphabet.size();
    weights
        .entry("embedding.weight".to_owned())
        .or_insert_with(|| {
            let one_hot =
                (0..vocab * vocab).map(|at| f32::from(u8::from(at % vocab == at / vocab)));
            (vec![vocab, vocab], one_hot.collect())
        });
    let tensors: HashMap<String, Tensor> = weights
        .into_iter()
        .map(|(name, (dims, values))| {
            let tensor = Tensor::from_vec(values, dims, &Device::Cpu).unwrap();
            (name, tensor)
        })
        .collect();
    let shape = Shape {
        vocab_size: description.alphabet.size(),
        embedding_size: tensors["embedding.weight"].dim(1).unwrap(),
        hidden_size: tensors["head.weight"].dim(1).unwrap(),
        num_layers: (tensors.len() - 3) / 3,
    };
    let network = Network::from_tensors(shape, &tensors).unwrap();
    let header = header(shape, &description.alphabet, Precision::F32.into()).unwrap();
    let embedding_size = description.embedding_size as u16;
    let header = Header {
        embedding_size,
        ..header
    };
    with_header(&network, &header).unwrap()
}

/// The weights in a state dict by our names, and what its metadata say.
fn ours_in(state_dict: &[u8]) -> (Weights, Description) {
    let (_, header) = SafeTensors::read_metadata(state_dict).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    let mut weights = Weights::new();
    for (name, tensor) in SafeTensors::deserialize(state_dict).unwrap().tensors() {
        let values = floats(tensor.data());
        let parts: Vec<&str> = name.split(['.', '_']).collect();
        let name = match parts[..] {
            ["lstm", "bias", "hh", _] => {
                assert!(values.iter().all(|&bias| bias == 0.0));
                continue;
            }
            // Ours is one bias.
            ["lstm", "bias", "ih", layer] => format!("lstm.{}.bias", &layer[1..]),
            ["lstm", "weight", of, layer] => format!("lstm.{}.weight_{of}", &layer[1..]),
            _ => name,
        };
        weights.insert(name, (tensor.shape().to_vec(), values));
    }
    (weights, Description::read(&metadata[METADATA_KEY]).unwrap())
}

#[test]
fn a_network_comes_back_from_onnx_as_the_same_file() {
    let place = with_run();
    let (file, _) = onnx_of(&place, BEST);
    let mut from = OnnxNetwork::new(&file).weights;
    let mut weights = Weights::new();
    let (dims, embedding) = from.remove("embedding").unwrap();
    weights.insert("embedding.weight".to_owned(), (dims, embedding));
    for layer in 0..2 {
        for (theirs, name) in [("W", "weight_ih"), ("R", "weight_hh")] {
            let (dims, values) = from.remove(&format!("{theirs}_l{layer}")).unwrap();
            let matrix = (dims[1..].to_vec(), ours(&values));
            weights.insert(format!("lstm.{layer}.{name}"), matrix);
        }
        let (_, both) = from.remove(&format!("B_l{layer}")).unwrap();
        let (of_x, of_h) = both.split_at(both.len() / 2);
        assert!(of_h.iter().all(|&bias| bias == 0.0));
        let bias = (vec![of_x.len()], ours(of_x));
        weights.insert(format!("lstm.{layer}.bias"), bias);
    }
    let (dims, transposed) = from.remove("head").unwrap();
    let (hidden, vocab) = (dims[0], dims[1]);
    let head = (0..vocab * hidden).map(|at| transposed[at % hidden * vocab + at / hidden]);
    let head = (vec![vocab, hidden], head.collect());
    weights.insert("head.weight".to_owned(), head);
    weights.insert("head.bias".to_owned(), from.remove("head_bias").unwrap());
    let model = fs::read(place.path(MODEL)).unwrap();
    assert!(file_of(weights, &description(&file)) == model);
}

#[test]
fn onnx_of_a_model_says_what_the_model_says() {
    let place = Place::new();
    for (name, tolerances) in [
        ("names/names", [LONG, LONG]),
        ("names/names-i8", [UNROUNDED, UNROUNDED]),
        ("names/names-i4", [UNROUNDED, UNROUNDED]),
        ("names-tiny/names-tiny", [UNROUNDED, UNROUNDED]),
    ] {
        let path = repository(&format!("models/{name}.charlet"));
        let model = fs::read(&path).unwrap();
        let (file, said) = onnx_of(&place, path.to_str().unwrap());
        let precision = Model::from_bytes(&model).unwrap().header().precision;
        assert_eq!(
            said.contains("written as f32"),
            precision != Precision::F32,
            "{said}"
        );
        assert_eq!(file.graph.as_ref().unwrap().node[0].op_type, "OneHot");
        compare(name, &file, &model, tolerances);
    }
}

/// An integer model with an embedding that isn't folded.
#[test]
fn onnx_of_an_integer_model_keeps_its_embedding() {
    let place = with_run();
    let quantize = ["quantize", BEST, "--to", "i8", "--input", "embedding"];
    place.succeed(&[&quantize[..], &["-o", "i8.charlet"]].concat());
    let (file, _) = onnx_of(&place, "i8.charlet");
    assert_eq!(file.graph.as_ref().unwrap().node[0].op_type, "Gather");
    let model = fs::read(place.path("i8.charlet")).unwrap();
    compare("i8", &file, &model, [UNROUNDED, UNROUNDED]);
}

#[test]
fn a_state_dict_has_the_names_of_pytorch_and_comes_back_as_the_same_file() {
    let place = with_run();
    let said = place.succeed(&["export", BEST, "--to", "pytorch", "-o", "p.safetensors"]);
    let bytes = fs::read(place.path("p.safetensors")).unwrap();
    let (weights, description) = ours_in(&bytes);
    let vocab = description.alphabet.size();
    let mut expected = vec![
        ("embedding.weight".to_owned(), vec![vocab, 4]),
        ("head.bias".to_owned(), vec![vocab]),
        ("head.weight".to_owned(), vec![vocab, 8]),
    ];
    for (layer, inputs) in [(0, 4), (1, 8)] {
        for (name, dims) in [
            ("bias_hh", vec![32]),
            ("bias_ih", vec![32]),
            ("weight_hh", vec![32, 8]),
            ("weight_ih", vec![32, inputs]),
        ] {
            expected.push((format!("lstm.{name}_l{layer}"), dims));
        }
    }
    expected.sort();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let names = tensors
        .into_iter()
        .map(|(name, tensor)| (name, tensor.shape().to_vec()));
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, expected);
    assert!(file_of(weights, &description) == fs::read(place.path(MODEL)).unwrap());
    for line in [
        format!("torch.nn.Embedding({vocab}, 4)"),
        "torch.nn.LSTM(4, 8, 2)".to_owned(),
        format!("torch.nn.Linear(8, {vocab})"),
        "load_file(\"p.safetensors\")".to_owned(),
    ] {
        assert!(said.contains(&line), "{said}");
    }
    // Its own kind may be replaced, a checkpoint not.
    place.succeed(&["export", MODEL, "--to", "pytorch", "-o", "p.safetensors"]);
    let before = fs::read(place.path("run/last.safetensors")).unwrap();
    let onto = [
        "export",
        MODEL,
        "--to",
        "pytorch",
        "-o",
        "run/last.safetensors",
    ];
    place.fail_with(&onto, &["run/last.safetensors", "would be lost"]);
    assert!(fs::read(place.path("run/last.safetensors")).unwrap() == before);
}

/// The inputs are one-hot, and the model's table is the first layer's weights.
#[test]
fn a_model_comes_back_from_a_state_dict_as_the_same_file() {
    let place = with_run();
    let names = repository("models/names/names.charlet");
    for model in [MODEL, names.to_str().unwrap()] {
        let said = place.succeed(&["export", model, "--to", "pytorch", "-o", "p.safetensors"]);
        assert!(
            said.contains("torch.nn.functional.one_hot(tokens, "),
            "{said}"
        );
        assert!(!said.contains("Embedding"), "{said}");
        let (weights, description) = ours_in(&fs::read(place.path("p.safetensors")).unwrap());
        assert!(!weights.contains_key("embedding.weight"));
        assert!(file_of(weights, &description) == fs::read(place.path(model)).unwrap());
    }
}

/// The bytes of an array in C.
fn bytes_in(text: &str) -> Vec<u8> {
    let array = text
        .split_once("= {\n")
        .unwrap()
        .1
        .split_once("};")
        .unwrap()
        .0;
    let numbers = array
        .split(',')
        .map(str::trim)
        .filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().unwrap()).collect()
}

#[test]
fn an_array_in_c_has_the_bytes_and_sizes_of_the_model() {
    let place = Place::new();
    let path = repository("models/names/names-i8.charlet");
    let model = fs::read(&path).unwrap();
    let sizes = Model::from_bytes(&model).unwrap().sizes();
    for file in ["my model.h", "my-model.c"] {
        let said = place.succeed(&["export", path.to_str().unwrap(), "--to", "c", "-o", file]);
        let text = fs::read_to_string(place.path(file)).unwrap();
        assert!(bytes_in(&text) == model);
        for (name, size) in [
            ("MODEL_SIZE", model.len()),
            ("STATE_WORDS", sizes.state),
            ("WORKSPACE_WORDS", sizes.workspace),
        ] {
            assert!(
                text.contains(&format!("#define MY_MODEL_{name} {size}")),
                "{text:.2000}"
            );
            assert!(said.contains(&format!("MY_MODEL_{name} {size}")), "{said}");
        }
    }
    place.fail_with(
        &[
            "export",
            path.to_str().unwrap(),
            "--to",
            "c",
            "-o",
            "model.txt",
        ],
        &["model.txt", ".h", ".c"],
    );
}

/// Compiled as C99 and C++ where there is a compiler, without a warning.
#[test]
fn compilers_take_the_array() {
    let place = Place::new();
    let path = repository("models/names/names-i8.charlet");
    let path = path.to_str().unwrap();
    place.succeed(&["export", path, "--to", "c", "-o", "names.h"]);
    place.succeed(&["export", path, "--to", "c", "-o", "other.c"]);
    let model = fs::read(path).unwrap();
    let sum: u32 = model.iter().map(|&byte| u32::from(byte)).sum();
    let main = "
#include <stdio.h>
#include \"names.h\"
#ifdef __cplusplus
extern \"C\"
#else
extern
#endif
const unsigned char other_model[NAMES_MODEL_SIZE];
int main(void) {
    unsigned long sum = 0, at;
    for (at = 0; at < sizeof names_model; at++) sum += names_model[at];
    for (at = 0; at < NAMES_MODEL_SIZE; at++) sum += other_model[at];
    printf(\"%lu %lu %lu\\n\", (unsigned long)sizeof names_model, sum,
        ((unsigned long)names_model | (unsigned long)other_model) % 16);
    return 0;
}
";
    let expected = format!("{} {} 0\n", model.len(), 2 * sum);
    for (compiler, standard, ending) in [("cc", "-std=c99", "c"), ("c++", "-std=c++11", "cpp")] {
        if Command::new(compiler).arg("--version").output().is_err() {
            eprintln!("there is no {compiler}: not tested");
            continue;
        }
        let (main_file, other) = (format!("main.{ending}"), format!("array.{ending}"));
        place.write(&main_file, main);
        place.write(&other, fs::read(place.path("other.c")).unwrap());
        let output = Command::new(compiler)
            .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .args([&main_file, &other])
            .args(["-o", "program"])
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{compiler}: {stderr}");
        let output = Command::new(place.path("program")).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn what_cannot_be_exported_is_told_and_nothing_is_written() {
    let place = with_run();
    let export = |model: &str, to: &str, output: &str, words: &[&str]| {
        place.fail_with(&["export", model, "--to", to, "-o", output], words);
    };
    export(BEST, "c", "m.h", &["is a checkpoint, not a charlet model"]);
    export("data.txt", "onnx", "m.onnx", &["data.txt is a text file"]);
    export("nowhere", "onnx", "m.onnx", &["can't read nowhere"]);
    export(MODEL, "onnx", "m.pt", &["m.pt", ".onnx"]);
    export(MODEL, "pytorch", "m.pt", &["m.pt", "safetensors"]);
    export(MODEL, "c", "m", &["no name of a file in C"]);
    export(MODEL, "onnx", "nowhere/m.onnx", &["no folder nowhere"]);
    export(BEST, "pytorch", BEST, &["would be lost"]);
    place.write("mine.onnx", "mine");
    export(MODEL, "onnx", "mine.onnx", &["mine.onnx", "would be lost"]);
    place.write("mine.h", "int mine;\n");
    export(MODEL, "c", "mine.h", &["mine.h", "would be lost"]);
    let mut damaged = fs::read(place.path(MODEL)).unwrap();
    damaged[200] ^= 1;
    place.write("damaged.charlet", damaged);
    export(
        "damaged.charlet",
        "onnx",
        "m.onnx",
        &["damaged.charlet", "checksum"],
    );
    // A disk that is full leaves nothing.
    #[cfg(unix)]
    {
        let arguments = ["export", MODEL, "--to", "c", "-o", "m.h"];
        let output = place.limited("-f 1", &arguments).output().unwrap();
        assert!(!output.status.success());
    }
    let left = place.files(".");
    let ours = ["damaged.charlet", "data.txt", "mine.h", "mine.onnx", "run"];
    assert_eq!(left, ours);
    assert_eq!(fs::read(place.path("mine.onnx")).unwrap(), b"mine");
}
