//! Files that say they are more than any memory has, that are damaged, or that nearly fit; and what is left of an older
//! model where an import fails.

use std::fs;
use std::io::{Cursor, Write};

use candle_core::{DType, Device, Tensor};
use charlet_trainer::util::onnx::Model as OnnxModel;
use hdf5_pure::{Datatype, DatatypeByteOrder, FileBuilder, FloatingPointLayout, make_f32_type};
use prost::Message;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::file;
use crate::support::place::Place;
use crate::support::repository;

/// The arguments of an import with 5 characters.
fn import(net: &str) -> [&str; 6] {
    ["import", net, "-o", "net.charlet", "--chars", "abcde"]
}

/// Fails unless a file with these bytes is refused with these words, and its name.
fn refuse(name: &str, bytes: &[u8], words: &[&str]) {
    let place = Place::new();
    place.write(name, bytes);
    place.fail_with(&import(name), &[&[name], words].concat());
    assert!(!place.path("net.charlet").exists());
}

/// Writes weights that are all of the same value each.
fn write(place: &Place, weights: &[(&str, &[usize], f32)]) {
    let tensors = weights.iter().map(|&(name, dims, value)| {
        let tensor = Tensor::full(value, dims, &Device::Cpu).unwrap();
        (name.to_owned(), tensor.to_dtype(DType::F32).unwrap())
    });
    candle_core::safetensors::save(&tensors.collect(), place.path("net.safetensors")).unwrap();
}

fn refuse_weights(weights: &[(&str, &[usize], f32)], words: &[&str]) {
    let place = Place::new();
    write(&place, weights);
    let words = [&["net.safetensors"], words].concat();
    place.fail_with(&import("net.safetensors"), &words);
}

#[test]
fn a_check_that_fails_leaves_the_older_model() {
    let place = Place::new();
    let (net, chars) = (file("one_hot.safetensors"), file("chars.json"));
    let [net, chars] = [&net, &chars].map(|path| path.to_str().unwrap());
    let import = ["import", net, "--chars", chars, "-o", "net.charlet"];
    place.succeed(&import);
    let before = fs::read(place.path("net.charlet")).unwrap();
    let text = place.write("text", "ЖЖЖ");
    let check = ["--to", "i8", "--check", &text];
    place.fail_with(
        &[&import[..], &check].concat(),
        &["knows none of the characters"],
    );
    assert_eq!(fs::read(place.path("net.charlet")).unwrap(), before);
}

#[test]
fn a_precision_that_fails_leaves_the_others_their_losses() {
    let place = Place::new();
    // Products that are infinite.
    write(
        &place,
        &[
            ("emb.weight", &[29, 16], 1e30),
            ("lstm.weight_ih_l0", &[128, 16], 1e30),
            ("lstm.weight_hh_l0", &[128, 32], 0.1),
            ("fc.weight", &[29, 32], 0.1),
        ],
    );
    let text = place.write("text", "abc\n".repeat(20));
    let import = [
        "import",
        "net.safetensors",
        "-o",
        "net.charlet",
        "--chars",
        "abcdefghijklmnopqrstuvwxyz .,",
    ];
    let printed = place.succeed(&[&import[..], &["--to", "i8", "--check", &text]].concat());
    let line = |name: &str| printed.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("original ").contains("nats/char"), "{printed}");
    assert!(line("f32 ").contains("none: "), "{printed}");
    assert!(line("i8 ").contains("nats/char"), "{printed}");
}

#[test]
fn the_output_is_a_model_or_a_checkpoint_by_its_name() {
    let place = Place::new();
    let (net, chars) = (file("one_hot.safetensors"), file("chars.json"));
    let [net, chars] = [&net, &chars].map(|path| path.to_str().unwrap());
    place.fail_with(
        &["import", net, "--chars", chars, "-o", "net.onnx"],
        &["net.onnx", ".charlet or .safetensors"],
    );
    assert!(!place.path("net.onnx").exists());
}

/// A file of PyTorch with this pickle and stored numbers.
pub(super) fn pickled(program: &[u8], numbers: &[f32]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("net/data.pkl", stored).unwrap();
    archive.write_all(program).unwrap();
    archive.start_file("net/data/0", stored).unwrap();
    let numbers: Vec<u8> = numbers
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    archive.write_all(&numbers).unwrap();
    archive.finish().unwrap().into_inner()
}

pub(super) fn text(program: &mut Vec<u8>, text: &str) {
    program.push(b'X');
    program.extend((text.len() as u32).to_le_bytes());
    program.extend(text.as_bytes());
}

fn number(program: &mut Vec<u8>, number: usize) {
    program.push(b'J');
    program.extend((number as u32).to_le_bytes());
}

/// A dict with a tensor for each name: all begin where the same stored numbers do.
fn views(names: &[(String, Vec<usize>)], stored: usize) -> Vec<u8> {
    let mut program = b"\x80\x02}(".to_vec();
    for (name, dims) in names {
        text(&mut program, name);
        program.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut program, "storage");
        program.extend(b"ctorch\nFloatStorage\n");
        text(&mut program, "0");
        text(&mut program, "cpu");
        number(&mut program, stored);
        program.extend(b"tQ");
        number(&mut program, 0);
        program.push(b'(');
        dims.iter().for_each(|&dim| number(&mut program, dim));
        program.extend(b"t(");
        for at in 0..dims.len() {
            number(&mut program, dims[at + 1..].iter().product());
        }
        program.extend(b"ttR");
    }
    program.extend(b"u.");
    program
}

#[test]
fn what_a_pickle_says_again_and_again_is_counted_each_time() {
    let mut program = b"\x80\x02(".to_vec();
    text(&mut program, &"a".repeat(1 << 20));
    program.extend([b'2'; 2000]);
    program.extend(b"t.");
    refuse(
        "net.pt",
        &pickled(&program, &[]),
        &["texts that are too long"],
    );

    let mut program = b"\x80\x02(".to_vec();
    program.extend(vec![b'N'; 5 << 20]);
    program.extend(b"t.");
    refuse("net.pt", &pickled(&program, &[]), &["too many objects"]);

    let numbers = vec![0.0; 1 << 20];
    let names: Vec<_> = (0..40)
        .map(|at| (format!("x{at}"), vec![numbers.len()]))
        .collect();
    let program = views(&names, numbers.len());
    refuse(
        "net.pt",
        &pickled(&program, &numbers),
        &["x1", "too large for their file"],
    );
}

/// As cuDNN has the weights of an LSTM.
#[test]
fn weights_may_be_parts_of_the_same_numbers() {
    let place = Place::new();
    let numbers: Vec<f32> = (0..1 << 20).map(|at| (at % 7) as f32 / 10.0).collect();
    let mut names = vec![
        ("fc.weight".to_owned(), vec![5, 3]),
        ("lstm.weight_ih_l0".to_owned(), vec![12, 5]),
    ];
    for layer in 0..16 {
        let ih = (format!("lstm.weight_ih_l{layer}"), vec![12, 3]);
        names.extend((layer > 0).then_some(ih));
        names.push((format!("lstm.weight_hh_l{layer}"), vec![12, 3]));
        names.push((format!("lstm.bias_ih_l{layer}"), vec![12]));
    }
    let program = views(&names, numbers.len());
    place.write("net.pt", pickled(&program, &numbers));
    place.succeed(&import("net.pt"));
}

#[test]
fn more_layers_than_a_model_has_are_refused_before_any_is_filled_up() {
    let names: Vec<String> = (0..17)
        .flat_map(|layer| ["ih", "hh"].map(|of| format!("lstm.weight_{of}_l{layer}")))
        .collect();
    let mut weights: Vec<(&str, &[usize], f32)> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let dims: &[usize] = if at == 0 { &[4, 5] } else { &[4, 1] };
        weights.push((name, dims, 0.1));
    }
    weights.push(("fc.weight", &[5, 1], 0.1));
    refuse_weights(&weights, &["17 LSTM layers", "16 at most"]);
}

/// The weights of narrow layers beside a wide one are few, until they are filled up.
#[cfg(target_os = "linux")]
#[test]
fn layers_are_filled_up_only_if_they_fit_into_memory() {
    let names: Vec<String> = (0..16)
        .flat_map(|layer| ["ih", "hh"].map(|of| format!("lstm.weight_{of}_l{layer}")))
        .collect();
    let mut weights: Vec<(&str, &[usize], f32)> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let dims: &[usize] = match at {
            0 => &[4, 5],
            30 => &[4000, 1],
            31 => &[4000, 1000],
            _ => &[4, 1],
        };
        weights.push((name, dims, 0.1));
    }
    weights.push(("fc.weight", &[5, 1000], 0.1));
    let place = Place::new();
    write(&place, &weights);
    let mut command = place.limited("-v 1000000", &import("net.safetensors"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("this network needs about"), "{said}");
}

/// Weights of Keras without settings: an LSTM of 3 units, and what makes 5 logits of them.
fn keras(dtype: &Datatype, bytes: impl Fn(f32) -> Vec<u8>) -> Vec<u8> {
    let mut file = FileBuilder::new();
    let lstm: &[(&str, &[u64])] = &[
        ("kernel", &[5, 12]),
        ("recurrent_kernel", &[3, 12]),
        ("bias", &[12]),
    ];
    let dense: &[(&str, &[u64])] = &[("kernel", &[3, 5]), ("bias", &[5])];
    for (layer, weights) in [("lstm", lstm), ("dense", dense)] {
        let mut group = file.create_group(layer);
        for (name, dims) in weights {
            let count = dims.iter().product();
            let numbers = (0..count).flat_map(|at: u64| bytes(at as f32 / 4.0 - 1.0));
            group
                .create_dataset(name)
                .with_raw_data(dtype.clone(), numbers.collect(), count)
                .with_shape(dims);
        }
        file.add_group(group.finish());
    }
    file.finish().unwrap()
}

#[test]
fn weights_of_keras_may_be_in_half_precision() {
    let half = |exponent_size: u8, mantissa_size: u8| Datatype::FloatingPoint {
        size: 2,
        byte_order: DatatypeByteOrder::LittleEndian,
        layout: FloatingPointLayout {
            bit_offset: 0,
            bit_precision: 16,
            exponent_location: mantissa_size,
            exponent_size,
            mantissa_location: 0,
            mantissa_size,
            exponent_bias: (1 << (exponent_size - 1)) - 1,
        },
    };
    let rounded = |value: f32, to: DType| -> Vec<u8> {
        let tensor = Tensor::full(value, 1, &Device::Cpu).unwrap();
        let mut bytes = Vec::new();
        let tensor = tensor.to_dtype(to).unwrap();
        tensor.write_bytes(&mut bytes).unwrap();
        bytes
    };
    let files = [
        keras(&make_f32_type(), |value| value.to_le_bytes().to_vec()),
        keras(&half(5, 10), |value| rounded(value, DType::F16)),
        keras(&half(8, 7), |value| rounded(value, DType::BF16)),
    ];
    let models = files.map(|file| {
        let place = Place::new();
        place.write("net.h5", file);
        place.succeed(&import("net.h5"));
        fs::read(place.path("net.charlet")).unwrap()
    });
    assert_eq!(models[0], models[1]);
    assert_eq!(models[0], models[2]);
}

#[test]
fn a_weight_of_keras_is_read_only_if_its_file_can_have_it() {
    let mut file = FileBuilder::new();
    let mut group = file.create_group("embedding");
    // Zeros take no place in the file.
    group
        .create_dataset("embeddings")
        .with_f32_data(&vec![0.0; 20_000_000])
        .with_shape(&[20, 1_000_000])
        .with_chunks(&[1, 1_000_000])
        .with_deflate(1);
    file.add_group(group.finish());
    let bytes = file.finish().unwrap();
    assert!(bytes.len() < 1 << 20);
    refuse(
        "net.h5",
        &bytes,
        &[
            "embedding/embeddings [20, 1000000]",
            "too large for its file",
        ],
    );
}

#[test]
fn a_compressed_archive_is_saved_again() {
    let mut bytes = fs::read(file("keras_1.keras")).unwrap();
    // The method in the files' own headers, and in the list of them.
    for (signature, method) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        for at in 0..bytes.len() - 12 {
            if bytes[at..].starts_with(signature) {
                bytes[at + method] = 8;
            }
        }
    }
    refuse("net.keras", &bytes, &["is compressed", "save it again"]);
}

#[test]
fn damaged_safetensors_are_called_so() {
    let long = [&(1u64 << 60).to_le_bytes()[..], b"{}"].concat();
    let message = |bytes: &[u8]| {
        let place = Place::new();
        place.write("net.safetensors", bytes);
        place.fail(&import("net.safetensors"))
    };
    for bytes in [&long[..], b"\x40\x0d\x03\0\0\0\0\0[[[[[[[["] {
        let message = message(bytes);
        assert!(message.contains("damaged"), "{message}");
        assert!(!message.contains("ONNX"), "{message}");
    }
}

#[test]
fn sizes_that_do_not_fit_are_those_at_fault() {
    let head = ("fc.weight", &[5, 3][..], 0.1);
    refuse_weights(
        &[
            ("lstm.weight_ih_l0", &[0, 5], 0.1),
            ("lstm.weight_hh_l0", &[0, 0], 0.1),
            head,
        ],
        &["lstm.weight_ih_l0", "[0, 5]", "no numbers"],
    );
    refuse_weights(
        &[
            ("lstm.weight_ih_l0", &[12, 5], 0.1),
            ("lstm.weight_hh_l0", &[8, 2], 0.1),
            ("lstm.bias_ih_l0", &[12], 0.1),
            head,
        ],
        &["lstm.weight_ih_l0 is [12, 5] and lstm.weight_hh_l0 [8, 2]"],
    );
    refuse_weights(
        &[
            ("lstm.weight_ih_l0", &[12, 5], 0.1),
            ("lstm.weight_hh_l0", &[12, 3], 0.1),
            ("lstm.bias_ih_l0", &[12], 3e38),
            ("lstm.bias_hh_l0", &[12], 3e38),
            head,
        ],
        &["the biases of LSTM layer 0 have sums"],
    );
}

#[test]
fn a_description_that_is_damaged_is_that_of_a_file() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    place.succeed(&["export", model, "--to", "onnx", "-o", "net.onnx"]);
    let whole = OnnxModel::decode(&fs::read(place.path("net.onnx")).unwrap()[..]).unwrap();
    for (key, value) in [
        ("embedding_size", serde_json::json!(1u64 << 62)),
        ("chars", serde_json::json!(["a", "b", "c", "d", "e"])),
    ] {
        let mut damaged = whole.clone();
        let mut entries = damaged.metadata_props.iter_mut();
        let entry = entries.find(|entry| entry.key == "charlet.model").unwrap();
        let mut description: serde_json::Value = serde_json::from_str(&entry.value).unwrap();
        assert!(description[key] != serde_json::Value::Null);
        description[key] = value;
        entry.value = description.to_string();
        place.write("damaged.onnx", damaged.encode_to_vec());
        place.fail_with(
            &["import", "damaged.onnx", "-o", "net.charlet"],
            &["can't import damaged.onnx"],
        );
    }
}
