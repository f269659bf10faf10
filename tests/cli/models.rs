//! Commands that use models: what they print, and what they say where something is wrong.

use std::fs;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::support::place::{Place, SHORT, lines};
use crate::support::tolerance::{QUANTIZATION, QUANTIZATION_I4};
use crate::support::{repository, small_model};

#[test]
fn wrong_options_of_generate_are_refused() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    let refuse = |options: &[&str], words: &[&str]| {
        place.fail_with(&[&["generate", model][..], options].concat(), words);
    };
    refuse(&["--prompt", "an na"], &["' '"]);
    refuse(&["--prompt", "Ünal"], &["'Ü'"]);
    for temperature in ["0", "-1", "NaN", "inf"] {
        refuse(
            &["--temperature", temperature],
            &["--temperature", "--argmax"],
        );
    }
    refuse(&["--top-k", "0"], &["--top-k 0", "from 1 to 27"]);
    refuse(&["--top-k", "28"], &["--top-k 28", "from 1 to 27"]);
    for top_p in ["0", "1.5", "-0.5", "NaN"] {
        refuse(&["--top-p", top_p], &["--top-p"]);
    }
}

#[test]
fn files_that_are_no_models_are_refused() {
    let place = Place::new();
    let text = place.write("text", "just a text, longer than the first part of a model");
    let mut damaged = small_model();
    damaged[50] ^= 1;
    let damaged = place.write("damaged", damaged);
    let cut = place.write("cut", &small_model()[..100]);
    for command in ["generate", "info"] {
        place.fail_with(&[command, &text], &["text", "not a charlet model"]);
        place.fail_with(&[command, &damaged], &["damaged", "corrupt"]);
        place.fail_with(&[command, &cut], &["cut", "truncated"]);
        place.fail_with(&[command, "missing"], &["missing", "No such file"]);
    }
    place.fail_with(&["eval", &text, &text], &["not a charlet model"]);
}

#[test]
fn json_has_the_promised_keys() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    let file = place.write("names", "anna\nberta\n");
    let value: Value =
        serde_json::from_str(&place.succeed(&["eval", model, &file, "--json"])).unwrap();
    assert_eq!((&value["chars"], &value["lines"]), (&11.into(), &2.into()));
    assert_eq!(value["unknown"], 0);
    let number = |key: &str| value[key].as_f64().unwrap();
    let bits = number("nats_per_char") / std::f64::consts::LN_2;
    assert!((number("bits_per_char") - bits).abs() < 1e-9);
    assert!((number("bits_per_line") - bits * 5.5).abs() < 1e-9);

    let value: Value = serde_json::from_str(&place.succeed(&["info", model, "--json"])).unwrap();
    assert_eq!(value["format_version"], 1);
    assert_eq!(value["precision"], "f32");
    for key in [
        "vocab_size",
        "layers",
        "hidden_size",
        "parameters",
        "flash_bytes",
        "ram_bytes",
        "macs_per_char",
    ] {
        assert!(value[key].as_u64().unwrap() > 0, "{key}");
    }
    assert_eq!(value["flash_bytes"], fs::metadata(model).unwrap().len());
}

#[test]
fn info_shows_the_checksum_that_compressed_files_name() {
    let place = Place::new();
    let model = repository("models/names/names-i8.charlet");
    let model = model.to_str().unwrap();
    let file = place.write("names", "anna");
    place.succeed(&["compress", model, &file, "-o", "names.clz"]);
    let compressed = fs::read(place.path("names.clz")).unwrap();
    let named = u32::from_le_bytes(compressed[6..10].try_into().unwrap());
    let named = format!("{named:08x}");
    let value: Value = serde_json::from_str(&place.succeed(&["info", model, "--json"])).unwrap();
    assert_eq!(value["checksum"], named);
    let printed = place.succeed(&["info", model]);
    assert!(
        printed.contains(&format!("checksum        {named}\n")),
        "{printed}"
    );
}

#[test]
fn generated_text_depends_on_the_seed_only() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    let generate = |options: &[&str]| place.succeed(&[&["generate", model][..], options].concat());
    let options = ["-n", "20", "--temperature", "0.8", "--seed", "1"];
    let names = generate(&options);
    assert_eq!(names.lines().count(), 20);
    assert_eq!(names, generate(&options));
    assert_ne!(names, generate(&["-n", "20", "--seed", "2"]));
    assert!(
        generate(&["--prompt", "mar", "-n", "5"])
            .lines()
            .all(|name| name.starts_with("mar"))
    );
    let greedy = generate(&["--argmax", "-n", "2"]);
    let (first, second) = greedy.split_once('\n').unwrap();
    assert_eq!(format!("{first}\n"), second);
    assert!(
        generate(&["--length", "2"])
            .lines()
            .all(|name| name.len() <= 2)
    );
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    Place::new().succeed_unread(&["generate", model, "-n", "100000"]);
}

#[test]
fn a_checkpoint_becomes_an_integer_model_of_the_same_loss() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    place.succeed(&[
        "train", &file, "--hidden", "24", "--epochs", "5", "--out", "run",
    ]);
    let loss = |model: &str| {
        let printed = place.succeed(&["eval", model, &file, "--json"]);
        let value: Value = serde_json::from_str(&printed).unwrap();
        value["nats_per_char"].as_f64().unwrap()
    };
    let exact = loss("run/data.charlet");
    let checkpoint = "run/best.safetensors";
    for (precision, bound) in [("i8", QUANTIZATION), ("i4", QUANTIZATION_I4)] {
        let model = format!("small-{precision}.charlet");
        let quantize = ["quantize", checkpoint, "--to", precision, "-o", &model];
        let printed = place.succeed(&quantize);
        for part in ["f32 ", &format!("{precision} "), "cost ", "    0.5  "] {
            assert!(printed.contains(part), "{part:?} in {printed}");
        }
        bound.check(precision, loss(&model), exact);
        let info = place.succeed(&["info", &model, "--json"]);
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["precision"], precision);
    }
    place.fail_with(
        &["quantize", "data.txt", "--to", "i8", "-o", "no"],
        &["data.txt"],
    );
    fs::remove_file(place.path("data.txt")).unwrap();
    let quantize = ["quantize", checkpoint, "--to", "i8", "-o", "small.charlet"];
    #[cfg(unix)]
    place.succeed_unread(&quantize);
    // Without the data the cost is not known; all else is there.
    fs::remove_file(place.path("small.charlet")).unwrap();
    let printed = place.succeed(&quantize);
    for part in [
        "can't be measured without the data",
        "data.txt",
        "    0.5  ",
    ] {
        assert!(printed.contains(part), "{part:?} in {printed}");
    }
    place.succeed(&["info", "small.charlet"]);
    // Nor is it with other data.
    place.write("data.txt", "zoe\nzora\n".repeat(20));
    assert!(place.succeed(&quantize).contains("can't be measured"));
}

#[test]
fn a_checkpoint_that_makes_no_model_replaces_none() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.succeed(&[&["train", &file, "--out", "run"][..], &SHORT].concat());
    let best = place.path("run/best.safetensors");
    let mut tensors = candle_core::safetensors::load(&best, &Device::Cpu).unwrap();
    let (_, header) = SafeTensors::read_metadata(&fs::read(&best).unwrap()).unwrap();
    let name = "head.bias";
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let dims = tensors[name].dims().to_vec();
        tensors.insert(
            name.to_owned(),
            Tensor::full(value, dims, &Device::Cpu).unwrap(),
        );
        let bytes = safetensors::serialize(&tensors, header.metadata().clone()).unwrap();
        place.write("broken.safetensors", bytes);
        for precision in ["i8", "i4"] {
            let model = place.write("old.charlet", small_model());
            place.fail_with(
                &[
                    "quantize",
                    "broken.safetensors",
                    "--to",
                    precision,
                    "-o",
                    &model,
                ],
                &["broken.safetensors", name, "infinite or not a number"],
            );
            assert!(fs::read(place.path(&model)).unwrap() == small_model());
        }
    }
}

#[test]
fn every_help_has_an_example() {
    let place = Place::new();
    for command in ["train", "generate", "eval", "info", "quantize"] {
        let help = place.succeed(&[command, "--help"]);
        assert!(
            help.contains("Examples:") && help.contains(&format!("charlet {command}")),
            "{help}"
        );
    }
}
