//! What can't be imported, each with what is said.

use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Read, Write};

use candle_core::{DType, Device, Tensor};
use charlet_trainer::util::onnx::{Attribute, Model as OnnxModel, Node};
use prost::Message;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::file as file_of;
use super::limits::{pickled, text};
use crate::support::place::Place;

/// Weights of a network of 5 tokens and 3 units, by their names and sizes.
const NET: [(&str, &[usize]); 6] = [
    ("lstm.weight_ih_l0", &[12, 5]),
    ("lstm.weight_hh_l0", &[12, 3]),
    ("lstm.bias_ih_l0", &[12]),
    ("lstm.bias_hh_l0", &[12]),
    ("fc.weight", &[5, 3]),
    ("fc.bias", &[5]),
];

/// A file with these weights.
fn write(place: &Place, weights: &[(&str, &[usize])]) {
    let tensors: HashMap<String, Tensor> = weights
        .iter()
        .map(|&(name, dims)| {
            let tensor = Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
            (name.to_owned(), tensor)
        })
        .collect();
    candle_core::safetensors::save(&tensors, place.path("net.safetensors")).unwrap();
}

fn import(options: &[&str]) -> Vec<String> {
    let import = [
        "import",
        "net.safetensors",
        "-o",
        "net.charlet",
        "--chars",
        "abcde",
    ];
    let all = import.iter().chain(options);
    all.map(|&word| word.to_owned()).collect()
}

/// Fails if these weights are imported, or refused with other words.
fn refuse(weights: &[(&str, &[usize])], options: &[&str], words: &[&str]) {
    let place = Place::new();
    write(&place, weights);
    let arguments = import(options);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.fail_with(&arguments, &[&["net.safetensors"], words].concat());
    assert!(!place.path("net.charlet").exists());
}

/// Fails unless these weights are imported.
fn accept(weights: &[(&str, &[usize])], options: &[&str]) {
    let place = Place::new();
    write(&place, weights);
    let arguments = import(options);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
}

fn with<'w>(more: &[(&'w str, &'w [usize])]) -> Vec<(&'w str, &'w [usize])> {
    [&NET[..], more].concat()
}

#[test]
fn what_no_model_can_have_is_refused_by_name() {
    accept(&NET, &[]);
    refuse(
        &with(&[("lstm.weight_ih_l0_reverse", &[12, 5])]),
        &[],
        &["lstm.weight_ih_l0_reverse", "a bidirectional LSTM"],
    );
    refuse(
        &with(&[("lstm.weight_hr_l0", &[2, 3])]),
        &[],
        &["lstm.weight_hr_l0", "projections (proj_size)"],
    );
    refuse(
        &with(&[("lstm.weight_hh_l0_raw", &[12, 3])]),
        &[],
        &["lstm.weight_hh_l0_raw", "dropped weights"],
    );
    refuse(
        &with(&[("attn.weight", &[3, 3]), ("attn.bias", &[3])]),
        &["--map", "head=fc"],
        &["attn.bias", "attention"],
    );
    let batch_norm: &[(&str, &[usize])] = &[
        ("bn.weight", &[3]),
        ("bn.bias", &[3]),
        ("bn.running_mean", &[3]),
        ("bn.running_var", &[3]),
    ];
    refuse(&with(batch_norm), &[], &["bn.", "batch normalization"]);
    refuse(
        &with(&[("norm.weight", &[3]), ("norm.bias", &[3])]),
        &[],
        &["norm.", "layer normalization"],
    );
    refuse(
        &with(&[("conv1.weight", &[3, 5, 2])]),
        &[],
        &["conv1.weight", "a convolution"],
    );
    refuse(
        &with(&[("h0", &[1, 3])]),
        &["--map", "head=fc"],
        &["h0", "another matrix"],
    );
    accept(
        &with(&[("conv1.weight", &[3, 5, 2])]),
        &["--map", "ignore=conv1"],
    );
    refuse(
        &[("rnn.weight_ih_l0", &[9, 5]), ("rnn.weight_hh_l0", &[9, 3])],
        &[],
        &["rnn.weight_hh_l0", "a GRU"],
    );
    refuse(
        &[("rnn.weight_ih_l0", &[3, 5]), ("rnn.weight_hh_l0", &[3, 3])],
        &[],
        &["rnn.weight_hh_l0", "a plain RNN"],
    );
    refuse(
        &[("fc.weight", &[5, 3])],
        &[],
        &["no weights of an nn.LSTM", "fc.weight"],
    );
}

#[test]
fn parts_that_do_not_fit_are_named() {
    refuse(&NET[..4], &[], &["no linear layer", "--map head=NAME"]);
    refuse(
        &[&NET[..4], &[("fc.weight", &[6, 3])]].concat(),
        &[],
        &["first LSTM layer takes 5", "head has 6"],
    );
    refuse(
        &with(&[("out.weight", &[5, 3]), ("out.bias", &[5])]),
        &[],
        &["fc.weight and out.weight", "--map head=NAME"],
    );
    accept(
        &with(&[("out.weight", &[5, 3]), ("out.bias", &[5])]),
        &["--map", "head=fc", "--map", "ignore=out"],
    );
    refuse(
        &with(&[("emb.weight", &[7, 5])]),
        &[],
        &["embedding has 7 tokens and its head 5"],
    );
    refuse(&NET, &["--map", "head=decoder"], &["no weight decoder"]);
    refuse(
        &NET[1..],
        &[],
        &["lstm.weight_hh_l0", "lacks the weight_ih"],
    );
}

/// Two layers of 3 units, with the names that these modules have.
fn two(one: &str, other: &str) -> Vec<(String, Vec<usize>)> {
    let of = |name: &str, inputs| {
        [
            (format!("{name}.weight_ih_l0"), vec![12, inputs]),
            (format!("{name}.weight_hh_l0"), vec![12, 3]),
        ]
    };
    let head = ("fc.weight".to_owned(), vec![5, 3]);
    let lstms = of(one, 5).into_iter().chain(of(other, 3));
    lstms.chain([head]).collect()
}

#[test]
fn layers_without_an_order_are_asked_for() {
    let named = two("lstm_in", "lstm_hidden");
    let named: Vec<(&str, &[usize])> = named
        .iter()
        .map(|(name, dims)| (&name[..], &dims[..]))
        .collect();
    refuse(
        &named,
        &[],
        &["lstm_hidden and lstm_in", "--map lstm=FIRST"],
    );
    accept(
        &named,
        &["--map", "lstm=lstm_in", "--map", "lstm=lstm_hidden"],
    );
    for (one, other) in [
        ("lstm2", "lstm10"),
        ("lstm", "lstm_2"),
        ("net.0.cell", "net.2.cell"),
    ] {
        let numbered = two(one, other);
        let numbered: Vec<(&str, &[usize])> = numbered
            .iter()
            .map(|(name, dims)| (&name[..], &dims[..]))
            .collect();
        accept(&numbered, &[]);
    }
    refuse(
        &with(&[
            ("lstm.weight_ih_l2", &[12, 3]),
            ("lstm.weight_hh_l2", &[12, 3]),
        ]),
        &[],
        &["lstm.weight_ih_l2", "lacks layer 1"],
    );
}

#[test]
fn map_is_a_part_and_a_name() {
    let place = Place::new();
    write(&place, &NET);
    for (map, words) in [
        ("fc", ["--map fc has no =", "PART=NAME"]),
        (
            "tail=fc",
            ["tail is no part", "embedding, lstm, head or ignore"],
        ),
        ("head=", ["--map head= has no name", "name a weight"]),
    ] {
        let arguments = import(&["--map", map]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.fail_with(&arguments, &words);
    }
}

/// What is said of a file with other bytes.
fn refuse_bytes(name: &str, bytes: &[u8], words: &[&str]) {
    let place = Place::new();
    let file = place.write(name, bytes);
    let chars = file_of("chars.json");
    let import = [
        "import",
        &file,
        "-o",
        "net.charlet",
        "--chars",
        chars.to_str().unwrap(),
    ];
    place.fail_with(&import, &[&[name], words].concat());
    assert!(!place.path("net.charlet").exists());
}

/// A dict with a tensor that this function makes, of these arguments.
fn made_by(function: &str, arguments: &[&str]) -> Vec<u8> {
    let mut program = b"\x80\x02}(".to_vec();
    text(&mut program, "lstm.weight_ih_l0");
    program.extend(format!("ctorch._utils\n_rebuild_{function}\n(").bytes());
    for argument in arguments {
        program.extend(format!("ctorch\n{argument}\n").bytes());
    }
    program.extend(b"tRu.");
    pickled(&program, &[])
}

#[test]
fn tensors_without_plain_numbers_are_named_with_what_to_do() {
    let float8 = ["a", "b", "c", "d", "e", "f", "float8_e4m3fn"];
    for (function, arguments, words) in [
        ("tensor_v3", &float8[..], ["float8_e4m3fn", "torch.float32"]),
        (
            "meta_tensor_no_storage",
            &["float32"],
            ["the device meta", "load its weights"],
        ),
        ("sparse_tensor", &[], ["is sparse", ".to_dense()"]),
        ("qtensor", &[], ["is quantized", ".dequantize()"]),
        ("nested_tensor", &[], ["nested_tensor", "torch.float32"]),
    ] {
        let words = [&["lstm.weight_ih_l0"], &words[..]].concat();
        refuse_bytes("net.pt", &made_by(function, arguments), &words);
    }
    let header =
        r#"{"lstm.weight_ih_l0":{"dtype":"F8_E4M3","shape":[12,5],"data_offsets":[0,60]}}"#;
    let length = (header.len() as u64).to_le_bytes();
    let bytes = [&length[..], header.as_bytes(), &[0; 60]].concat();
    refuse_bytes(
        "net.safetensors",
        &bytes,
        &["lstm.weight_ih_l0", "F8_E4M3", "torch.float32"],
    );
}

#[test]
fn an_archive_that_is_cut_off_is_copied_again() {
    for name in ["checkpoint.pth", "keras_1.keras"] {
        let bytes = fs::read(file_of(name)).unwrap();
        refuse_bytes(
            name,
            &bytes[..bytes.len() / 2],
            &["cut off or damaged", "copy it again"],
        );
    }
}

/// A Keras file of the tests with other settings.
fn keras(name: &str, replace: &[(&str, &str)]) -> Vec<u8> {
    let bytes = fs::read(file_of(name)).unwrap();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut written = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["metadata.json", "config.json", "model.weights.h5"] {
        let mut inside = Vec::new();
        archive
            .by_name(name)
            .unwrap()
            .read_to_end(&mut inside)
            .unwrap();
        if name == "config.json" {
            let mut config = String::from_utf8(inside).unwrap();
            for (from, to) in replace {
                assert!(config.contains(from), "{from}");
                config = config.replace(from, to);
            }
            inside = config.into_bytes();
        }
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        written.start_file(name, stored).unwrap();
        written.write_all(&inside).unwrap();
    }
    written.finish().unwrap().into_inner()
}

#[test]
fn what_keras_has_and_we_have_not_is_refused_by_name() {
    let class = |class: &str| format!("\"class_name\": \"{class}\"");
    for (name, from, to, words) in [
        ("keras_1.keras", class("LSTM"), class("GRU"), "a GRU"),
        (
            "keras_1.keras",
            class("LSTM"),
            class("SimpleRNN"),
            "a plain RNN",
        ),
        (
            "keras_1.keras",
            class("LSTM"),
            class("Bidirectional"),
            "a bidirectional LSTM",
        ),
        (
            "keras_1.keras",
            class("LSTM"),
            class("RNN"),
            "an RNN of cells",
        ),
        (
            "keras_1.keras",
            class("Dropout"),
            class("BatchNormalization"),
            "batch normalization",
        ),
        (
            "keras_1.keras",
            class("Dropout"),
            class("LayerNormalization"),
            "layer normalization",
        ),
        (
            "keras_1.keras",
            class("Dropout"),
            class("Attention"),
            "attention",
        ),
        (
            "keras_1.keras",
            class("Dropout"),
            class("Flatten"),
            "Flatten in this place",
        ),
        (
            "keras_1.keras",
            "\"activation\": \"tanh\"".to_owned(),
            "\"activation\": \"relu\"".to_owned(),
            "other activations (relu, sigmoid)",
        ),
        (
            "keras_1.keras",
            "\"recurrent_activation\": \"sigmoid\"".to_owned(),
            "\"recurrent_activation\": \"hard_sigmoid\"".to_owned(),
            "other activations (tanh, hard_sigmoid)",
        ),
        (
            "keras_1.keras",
            "\"go_backwards\": false".to_owned(),
            "\"go_backwards\": true".to_owned(),
            "runs backwards",
        ),
        (
            "keras_1.keras",
            "\"activation\": \"softmax\"".to_owned(),
            "\"activation\": \"relu\"".to_owned(),
            "a Dense layer with the activation relu",
        ),
        (
            "keras_embedding.keras",
            "\"mask_zero\": false".to_owned(),
            "\"mask_zero\": true".to_owned(),
            "passes over token 0 (mask_zero=True)",
        ),
    ] {
        refuse_bytes("net.keras", &keras(name, &[(&from, &to)]), &[words]);
    }
    let h5 = fs::read(file_of("keras_1.h5")).unwrap();
    refuse_bytes("net.h5", &h5[..h5.len() / 2], &["damaged"]);
}

/// What is said of the network of a test with other nodes.
fn refuse_nodes(change: impl Fn(&mut Node), words: &[&str]) {
    let bytes = fs::read(file_of("onnx_one_hot.onnx")).unwrap();
    let mut model = OnnxModel::decode(&bytes[..]).unwrap();
    for node in &mut model.graph.as_mut().unwrap().node {
        change(node);
    }
    refuse_bytes("net.onnx", &model.encode_to_vec(), words);
}

#[test]
fn what_onnx_has_and_we_have_not_is_refused_by_name() {
    let text = |name: &str, values: &[&str]| Attribute {
        name: name.to_owned(),
        s: values.first().map(|value| value.as_bytes().to_vec()),
        strings: values
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect(),
        ..Attribute::default()
    };
    let with_attribute = |attribute: Attribute| {
        move |node: &mut Node| {
            if node.op_type == "LSTM" {
                node.attribute.push(attribute.clone());
            }
        }
    };
    let instead = |from: &'static str, to: &'static str| {
        move |node: &mut Node| {
            if node.op_type == from {
                node.op_type = to.to_owned();
            }
        }
    };
    let both = text("direction", &["bidirectional"]);
    refuse_nodes(with_attribute(both), &["a bidirectional LSTM"]);
    let back = text("direction", &["reverse"]);
    refuse_nodes(with_attribute(back), &["runs backwards"]);
    let others = text("activations", &["HardSigmoid", "Tanh", "Tanh"]);
    refuse_nodes(
        with_attribute(others),
        &["other activations (HardSigmoid, Tanh, Tanh)"],
    );
    let number = |name: &str| Attribute {
        name: name.to_owned(),
        f: Some(3.0),
        i: Some(1),
        ..Attribute::default()
    };
    refuse_nodes(with_attribute(number("clip")), &["clipped"]);
    refuse_nodes(
        with_attribute(number("input_forget")),
        &["coupled input and forget gates"],
    );
    let peepholes = |node: &mut Node| {
        if node.op_type == "LSTM" {
            let weights = node.input[3].clone();
            node.input.push(weights);
        }
    };
    refuse_nodes(peepholes, &["an LSTM with peepholes"]);
    refuse_nodes(instead("LSTM", "GRU"), &["a GRU"]);
    refuse_nodes(instead("LSTM", "RNN"), &["a plain RNN"]);
    refuse_nodes(instead("LSTM", "Tanh"), &["no LSTM node"]);
    let written_out = |node: &mut Node| match node.op_type.as_str() {
        "LSTM" => node.op_type = "Tanh".to_owned(),
        "Squeeze" => node.op_type = "Sigmoid".to_owned(),
        _ => {}
    };
    refuse_nodes(written_out, &["written out", "KERAS_BACKEND=tensorflow"]);
    // A start state of weights, in the size that is fed.
    let learnt = |node: &mut Node| {
        if node.op_type == "Expand" {
            node.input[0] = "net.fc.bias".to_owned();
        }
    };
    refuse_nodes(learnt, &["a start state that isn't 0"]);
    refuse_nodes(
        instead("OneHot", "MatMul"),
        &["MatMul, before the first LSTM"],
    );
    refuse_nodes(instead("Squeeze", "Relu"), &["Relu, behind an LSTM"]);
    refuse_nodes(
        instead("Add", "Mul"),
        &["Mul, behind the first linear layer"],
    );
    // Arithmetic on a token's number.
    let bytes = fs::read(file_of("onnx_embedding.onnx")).unwrap();
    let mut model = OnnxModel::decode(&bytes[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let weights: Vec<String> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.clone())
        .collect();
    let lookup = graph
        .node
        .iter_mut()
        .find(|node| node.op_type == "Gather" && weights.contains(&node.input[0]))
        .unwrap();
    let fed = std::mem::replace(&mut lookup.input[1], "next".to_owned());
    graph.node.push(Node {
        op_type: "Add".to_owned(),
        input: vec![fed.clone(), fed],
        output: vec!["next".to_owned()],
        ..Node::default()
    });
    refuse_bytes(
        "net.onnx",
        &model.encode_to_vec(),
        &["Add, before the embedding"],
    );
    refuse_bytes("noise.onnx", &[0xff; 100], &["no ONNX file"]);
}

#[test]
fn numbers_in_a_file_beside_the_graph_are_read_if_they_are_all_there() {
    let graph = fs::read(file_of("onnx_external.onnx")).unwrap();
    let numbers = fs::read(file_of("onnx_external.onnx.data")).unwrap();
    let import = [
        "import",
        "onnx_external.onnx",
        "-o",
        "net.charlet",
        "--chars",
        "abcdefghijkl",
    ];
    let place = Place::new();
    place.write("onnx_external.onnx", graph);
    let name = "onnx_external.onnx.data";
    place.fail_with(&import, &["can't import onnx_external.onnx", name]);
    place.write(name, &numbers[..numbers.len() - 1]);
    place.fail_with(&import, &[name, "too short", "val_80"]);
    place.write(name, &numbers);
    place.succeed(&import);
    fs::remove_file(place.path(name)).unwrap();
    fs::create_dir(place.path(name)).unwrap();
    place.fail_with(&import, &[name, "is no file"]);
}
