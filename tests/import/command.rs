//! What `charlet import` says and writes.

use std::fs;

use charlet::Model;

use super::file;
use crate::support::place::{Place, lines};
use crate::support::repository;

fn path(name: &str) -> String {
    file(name).to_str().unwrap().to_owned()
}

#[test]
fn a_network_becomes_a_model_and_a_checkpoint_that_learns_on() {
    let place = Place::new();
    let (net, chars) = (path("one_hot.safetensors"), path("chars.json"));
    let text = place.write("text", "zebra\nCaféx.\nfé bra\n".repeat(20));
    let import = ["import", &net, "--chars", &chars, "--end", "\\n"];
    let printed = place.succeed(
        &[
            &import[..],
            &["-o", "net.charlet", "--to", "i8", "--check", &text],
        ]
        .concat(),
    );
    for words in [
        "12 tokens: 11 characters, a mark that ends a line",
        "lstm 0",
        "bytes of flash",
        "bytes of RAM",
        "original",
        "nats/char",
        "i4",
    ] {
        assert!(printed.contains(words), "{printed} lacks {words}");
    }
    let losses: Vec<f64> = ["original ", "f32 ", "i8 "]
        .map(|name| {
            let line = printed.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        })
        .to_vec();
    assert_eq!(losses[0], losses[1]);
    assert!((losses[2] - losses[1]).abs() < 0.02, "{losses:?}");
    let bytes = fs::read(place.path("net.charlet")).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    assert_eq!(model.vocab().chars(), " .Cabefrxzé");
    assert_eq!(model.vocab().end(), Some(model.vocab().start()));
    assert_eq!(
        place
            .succeed(&["generate", "net.charlet", "-n", "3", "--seed", "1"])
            .lines()
            .count(),
        3
    );

    // The same weights as a checkpoint: exported and trained on.
    place.succeed(&[&import[..], &["-o", "net.safetensors"]].concat());
    let quantize = [
        "quantize",
        "net.safetensors",
        "--to",
        "i8",
        "-o",
        "again.charlet",
    ];
    let printed = place.succeed(&quantize);
    assert!(printed.contains("imported"), "{printed}");
    assert_eq!(fs::read(place.path("again.charlet")).unwrap(), bytes);
    let learnt = place.write("learnt", lines().repeat(10));
    let train = [
        "train",
        &learnt,
        "--init-from",
        "net.safetensors",
        "--layers",
        "1",
        "--hidden",
        "5",
        "--embedding",
        "12",
        "--epochs",
        "1",
        "--quantize",
        "i8",
        "--out",
        "run",
    ];
    let printed = place.succeed(&train);
    assert!(printed.contains("tokens known"), "{printed}");
}

#[test]
fn a_file_says_which_characters_its_tokens_are() {
    let place = Place::new();
    place.succeed(&["import", &path("checkpoint.pth"), "-o", "net.charlet"]);
    let bytes = fs::read(place.path("net.charlet")).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    // Running text, as nothing was said of ends.
    assert_eq!(model.vocab().chars(), "\n .Cabefrxzé");
    assert_eq!(model.vocab().end(), None);
    assert_eq!(model.vocab().start().index(), 0);

    let one_hot = path("one_hot.safetensors");
    place.fail_with(
        &["import", &one_hot, "-o", "other.charlet"],
        &["one_hot.safetensors", "12 tokens", "--chars"],
    );
    place.fail_with(
        &["import", &one_hot, "-o", "other.charlet", "--chars", "abc"],
        &["12 tokens", "its characters 3"],
    );
    assert!(!place.path("other.charlet").exists());
}

#[test]
fn tokens_that_are_no_characters_mark_starts_and_ends_or_are_left_out() {
    let place = Place::new();
    let net = path("one_hot.safetensors");
    let tokens = r#"["<pad>", "<sos>", "<eos>", "<unk>", "z", "y", "x", "w", "v", "u", "t", "s"]"#;
    let tokens = place.write("tokens.json", tokens);
    let import = ["import", &net, "-o", "net.charlet", "--chars", &tokens];
    let output = place.run(&[&import[..], &["--start", "<sos>", "--end", "<eos>"]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("left out, as no character: <pad>"), "{told}");
    let bytes = fs::read(place.path("net.charlet")).unwrap();
    let vocab = Model::from_bytes(&bytes).unwrap().vocab().to_owned();
    assert_eq!((vocab.chars(), vocab.size()), ("stuvwxyz", 11));
    assert_eq!(vocab.start().index(), 8);
    assert_eq!(vocab.end().unwrap().index(), 9);
    assert_eq!(vocab.unknown().unwrap().index(), 10);

    // Zeros before the first character, as in write-ups that feed one-hot vectors.
    let zeros = [
        "import",
        &net,
        "-o",
        "zeros.charlet",
        "--chars",
        &path("chars.json"),
    ];
    place.succeed(&[&zeros[..], &["--start", "zeros", "--end", "."]].concat());
    let bytes = fs::read(place.path("zeros.charlet")).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    assert_eq!(model.vocab().size(), 13);
    assert_ne!(Some(model.vocab().start()), model.vocab().end());
    place.succeed(
        &[
            &zeros[..4],
            &["--output", "z.safetensors"],
            &zeros[4..],
            &["--start", "zeros", "--end", "."],
        ]
        .concat(),
    );
    place.succeed(&["quantize", "z.safetensors", "--to", "i8", "-o", "z.charlet"]);

    let words = place.write("words.json", r#"{"the": 0, "a": 1}"#);
    place.fail_with(
        &["import", &net, "-o", "w.charlet", "--chars", &words],
        &["2"],
    );
    let words = tokens.replace("tokens", "syllables");
    let syllables = r#"["th", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]"#;
    let words = place.write(&words, syllables);
    place.fail_with(
        &["import", &net, "-o", "w.charlet", "--chars", &words],
        &["token 0 is \"th\"", "single characters"],
    );
    place.fail_with(
        &[&import[..], &["--end", "!"]].concat(),
        &["--end !", "no such token"],
    );
}

#[test]
fn an_import_replaces_nothing_else_and_damaged_files_leave_nothing() {
    let place = Place::new();
    let whole = fs::read(file("checkpoint.pth")).unwrap();
    let net = place.write("net.pt", &whole);
    let import = |from: &str, to: &str| ["import", from, "-o", to].map(str::to_owned);
    let fail = |from: &str, to: &str, words: &[&str]| {
        let arguments = import(from, to);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.fail_with(&arguments, words);
    };
    fail(&net, &net, &["net.pt"]);
    let thesis = place.write("thesis.txt", "years of work");
    fail(&net, &thesis, &["thesis.txt", "no charlet model"]);
    let weights = place.write(
        "own.safetensors",
        fs::read(file("one_hot.safetensors")).unwrap(),
    );
    fail(
        &net,
        &weights,
        &["own.safetensors", "no checkpoint of charlet"],
    );
    fail(
        &thesis,
        "new.charlet",
        &["thesis.txt is a text file", ".safetensors"],
    );
    fail("missing.pt", "new.charlet", &["missing.pt", "No such file"]);
    for end in (0..whole.len()).step_by(997) {
        let cut = place.write("cut.pt", &whole[..end]);
        fail(&cut, "new.charlet", &["cut.pt"]);
    }
    // Each byte of the pickle in turn: refused or not, no panic.
    let start = whole.windows(2).position(|at| at == b"\x80\x02").unwrap();
    for at in (start..start + 600).step_by(13) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let damaged = place.write("damaged.pt", damaged);
        let output = place.run(&["import", &damaged, "-o", "new.charlet"]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{at}");
    }
    let _ = fs::remove_file(place.path("new.charlet"));
    let names = place.files(".");
    assert!(
        names.iter().all(|name| !name.contains("partial")),
        "{names:?}"
    );
}

/// A model in single precision to the byte. One in integers too, but for values that lay between two integers.
#[test]
fn what_was_exported_comes_back_as_the_same_file() {
    let place = Place::new();
    for (name, precision, share) in [("names/names", "f32", 0.0), ("names/names-i8", "i8", 1e-3)] {
        let model = repository(&format!("models/{name}.charlet"));
        let before = fs::read(&model).unwrap();
        for (to, ending) in [("pytorch", "safetensors"), ("onnx", "onnx")] {
            let file = format!("net.{ending}");
            place.succeed(&["export", model.to_str().unwrap(), "--to", to, "-o", &file]);
            place.succeed(&["import", &file, "--to", precision, "-o", "net.charlet"]);
            let after = fs::read(place.path("net.charlet")).unwrap();
            assert_eq!(before.len(), after.len(), "{name} by {to}");
            let others = before
                .iter()
                .zip(&after)
                .filter(|(one, other)| one != other);
            let others = others.count() as f64;
            assert!(
                others <= share * before.len() as f64,
                "{name} by {to}: {others}"
            );
        }
    }
}

#[test]
fn a_list_of_characters_is_one_or_its_fault_is_named() {
    let place = Place::new();
    let net = path("one_hot.safetensors");
    let fail = |chars: &str, words: &[&str]| {
        let import = ["import", &net, "-o", "net.charlet", "--chars", chars];
        place.fail_with(&import, words);
        assert!(!place.path("net.charlet").exists());
    };
    for missing in ["vocab.json", "abcdefgh.txt", "data/vocab"] {
        fail(missing, &[missing, "no such file"]);
    }
    fail(".", &["no file"]);
    let latin = place.write("latin.txt", b"abcdefghijk\xe9");
    fail(&latin, &["latin.txt", "not UTF-8", "iconv"]);
    for (text, words) in [
        (r#"{"a": 0, "b""#, "no JSON"),
        (
            r#"{"a": 0, "b": 1, "c": 1}"#,
            r#""b" and "c" have the same number 1"#,
        ),
        (r#"{"a": 0, "b": -1}"#, r#""b": -1"#),
        (r#"{"a": 0, "b": 1.5}"#, r#""b": 1.5"#),
        (r#"{"a": 0, "b": 10000000}"#, "none has 1"),
        (r#"["a", null]"#, "entry 1 is null"),
        (
            r#"{"stoi": {"a": 0, "b": 1}, "itos": ["b", "a"]}"#,
            "stoi and itos name other characters",
        ),
    ] {
        let file = place.write("tokens.json", text);
        fail(&file, &["tokens.json", words]);
    }
    let from_1: Vec<String> = ('a'..='l')
        .zip(1..)
        .map(|(char, at)| format!("\"{char}\": {at}"))
        .collect();
    let from_1 = place.write("tokens.json", format!("{{{}}}", from_1.join(", ")));
    let output = place.run(&["import", &net, "-o", "net.charlet", "--chars", &from_1]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("counts from 1"), "{told}");

    let help = place.succeed(&["import", "--help"]);
    assert!(!help.contains("\\\""), "{help}");
}
