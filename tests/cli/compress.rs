//! `charlet compress` and `charlet decompress`: what goes in comes out, and what is wrong is told.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use charlet::{Model, Session};
use charlet_trainer::inference::compression::Codec;
use charlet_trainer::util::rng::{Random, Streams};
use serde_json::Value;

use crate::support::place::Place;
use crate::support::repository;
use crate::support::text_model::{text, text_model};

const FORMS: [&str; 3] = ["--hex", "--base64", "--base91"];

fn model(path: &str) -> String {
    let path = repository("models").join(path);
    path.to_str().unwrap().to_owned()
}

fn names() -> String {
    model("names/names-i8.charlet")
}

fn shakespeare() -> String {
    model("shakespeare-256k/shakespeare-256k.charlet")
}

/// Any characters, of one plane or of all.
fn random_text(random: &mut Random, length: usize) -> String {
    let most = [0x80, 0x800, 0x1_0000, 0x11_0000][random.below(4)];
    let chars = std::iter::repeat_with(|| char::from_u32(random.below(most) as u32)).flatten();
    chars.take(length).collect()
}

/// Texts that are hard to get right.
fn odd_texts() -> Vec<String> {
    let mut random = Streams::new(16).weights;
    let mut texts: Vec<String> = (0..12).map(|n| random_text(&mut random, 9 * n)).collect();
    texts.extend(
        [
            "",
            "\0",
            "\n",
            "\r",
            "\r\n\r",
            "a\n",
            "\u{feff}anna",
            "e\u{301}👩\u{200d}🔬\u{10ffff}",
            "BZh",
            "{\"charlet_state\":1}",
        ]
        .map(str::to_owned),
    );
    texts
}

/// Runs a command with this on its standard input.
fn piped(place: &Place, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = place
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What fails early doesn't read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert_ne!(output.status.code(), Some(101), "{output:?}");
    output
}

/// What a command that succeeds makes of its standard input.
fn pipe(place: &Place, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = piped(place, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

/// What a failing command says of its standard input.
fn refused(place: &Place, arguments: &[&str], input: &[u8]) -> String {
    let output = piped(place, arguments, input);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_text_comes_back_from_every_model() {
    for path in [names(), shakespeare()] {
        let bytes = fs::read(path).unwrap();
        let model = Model::from_bytes(&bytes).unwrap();
        for has_check in [false, true] {
            let mut codec = Codec::new(&model, has_check);
            for text in odd_texts() {
                let message = codec.compress(&text, |_| ()).unwrap();
                let mut expected = vec![0; text.len() + 2];
                let mut session = Session::boxed(&model);
                let length = if has_check {
                    session.compress_checked(&text, &mut expected).unwrap()
                } else {
                    session.compress(&text, &mut expected).unwrap()
                };
                assert_eq!(message, expected[..length], "{text:?}");
                let most = text.chars().count();
                let read = codec.decompress(&message, most, |_| ()).unwrap();
                assert_eq!(read, text);
                if most > 0 {
                    let error = codec.decompress(&message, most - 1, |_| ()).unwrap_err();
                    assert!(error.to_string().contains("--max-chars"), "{error}");
                }
            }
        }
    }
}

#[test]
fn files_come_back_byte_for_byte_in_every_form() {
    let place = Place::new();
    let mut random = Streams::new(17).weights;
    let text = random_text(&mut random, 400) + "\r\nTo be, or not to be\0\n\n";
    place.write("text", &text);
    for model in [names(), shakespeare()] {
        for form in [&[][..], &["--hex"], &["--base64"], &["--base91"]] {
            for options in [&[][..], &["--raw"], &["--check"], &["--raw", "--check"]] {
                let options = [form, options].concat();
                let compress = ["compress", model.as_str(), "text", "-o", "compressed"];
                let decompress = ["decompress", model.as_str(), "compressed", "-o", "back"];
                let _ = fs::remove_file(place.path("compressed"));
                place.succeed(&[&compress[..], &options].concat());
                place.succeed(&[&decompress[..], &options].concat());
                assert_eq!(fs::read(place.path("back")).unwrap(), text.as_bytes());
                let is_text = fs::read(place.path("compressed")).unwrap().is_ascii();
                assert!(is_text || form.is_empty(), "{options:?}");
            }
        }
    }
    // A header says itself whether there is a check byte.
    place.succeed(&["compress", &names(), "text", "--check", "-o", "x.clz"]);
    place.succeed(&["decompress", &names(), "x.clz", "-o", "back"]);
    assert_eq!(fs::read(place.path("back")).unwrap(), text.as_bytes());
}

#[test]
fn a_pipe_takes_and_gives_whole_texts_and_long_ones() {
    let place = Place::new();
    let names = names();
    let long: String = {
        let mut random = Streams::new(18).weights;
        (0..300).map(|_| random_text(&mut random, 200)).collect()
    };
    assert!(long.len() > 100_000);
    for text in ["", "anna", &long] {
        let compressed = pipe(&place, &["compress", &names], text.as_bytes());
        assert!(compressed.len() <= text.len() + 11);
        let read = pipe(&place, &["decompress", &names, "-", "-o", "-"], &compressed);
        assert!(read == text.as_bytes());
    }
    // The state is carried from line to line of a text.
    let verse = "First Citizen:\nBefore we proceed any further, hear me speak.\n\n";
    let shakespeare = shakespeare();
    let size = |text: &str| pipe(&place, &["compress", &shakespeare], text.as_bytes()).len();
    let (whole, part) = (size(&verse.repeat(2)), size(verse));
    assert!(whole < 2 * part - 10, "{whole}, {part}");
    assert!(3 * whole < 2 * verse.len(), "{whole}");
}

#[test]
fn another_model_is_refused_by_name() {
    let place = Place::new();
    place.write("text", "anna");
    let (right, wrong) = (names(), model("names/names-i4.charlet"));
    place.succeed(&["compress", &right, "text", "-o", "x.clz"]);
    let checksum = |path: &str| {
        let bytes = fs::read(path).unwrap();
        format!("{:08x}", Model::from_bytes(&bytes).unwrap().checksum())
    };
    let words = [&checksum(&right)[..], &checksum(&wrong), "x.clz", &wrong];
    place.fail_with(&["decompress", &wrong, "x.clz"], &words);
    // Files of each kind are told where another is wanted.
    place.fail_with(
        &["generate", "x.clz"],
        &["x.clz is a compressed text", "decompress MODEL x.clz"],
    );
    place.fail_with(&["eval", &right, "x.clz"], &["decompress MODEL x.clz"]);
    place.fail_with(
        &["decompress", &right, "text"],
        &["text is a text file, not a compressed text", "--raw"],
    );
    place.fail_with(
        &["compress", &right, "x.clz"],
        &["x.clz is a compressed text, not a text file"],
    );
    place.fail_with(&["compress", &right, "."], &["a folder"]);
    place.fail_with(
        &["compress", &right, "missing"],
        &["missing", "No such file"],
    );
    for form in FORMS {
        place.succeed(&["compress", &right, "text", form, "-o", "x.txt"]);
        place.fail_with(&["decompress", &right, "x.txt"], &["is a text", form]);
    }
    place.write("latin.txt", b"caf\xe9\n");
    for lines in [&[][..], &["--lines"]] {
        let compress = [&["compress", &right, "latin.txt"][..], lines].concat();
        place.fail_with(&compress, &["latin.txt", "UTF-8", "iconv"]);
    }
}

#[test]
fn damage_ends_with_an_error_or_with_text() {
    let place = Place::new();
    let text = "maria josefina\n".repeat(3);
    for model in [names(), shakespeare()] {
        let model = model.as_str();
        let whole = pipe(&place, &["compress", model, "--check"], text.as_bytes());
        let read = |bytes: &[u8]| piped(&place, &["decompress", model], bytes);
        let mut unnoticed = 0;
        let mut damaged: Vec<Vec<u8>> = (0..whole.len())
            .step_by(3)
            .map(|to| whole[..to].to_vec())
            .collect();
        for at in (0..whole.len()).step_by(2) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            damaged.push(flipped);
        }
        for bytes in &damaged {
            let output = read(bytes);
            match output.status.code() {
                Some(0) => unnoticed += 1,
                Some(1) => assert!(output.stdout.is_empty()),
                _ => panic!("{output:?}"),
            }
        }
        assert!(unnoticed <= damaged.len() / 10, "{unnoticed}");
        // Nothing tells here but the end.
        for bytes in &damaged {
            let raw = bytes.get(10..).unwrap_or_default();
            let limit = ["decompress", model, "--raw", "--max-chars", "500"];
            let output = piped(&place, &limit, raw);
            assert!(output.stdout.len() <= 4 * 500);
            assert!(std::str::from_utf8(&output.stdout).is_ok());
        }
    }
    let names = names();
    let header = refused(&place, &["decompress", &names], b"\x8fclz\x02\0");
    assert!(header.contains("version 2"), "{header}");
    let cut = refused(&place, &["decompress", &names], b"\x8fclz\x01\0\0");
    assert!(cut.contains("cut off"), "{cut}");
    // Both sides have to know of the check byte of a message without a header.
    let raw = pipe(&place, &["compress", &names, "--raw"], b"mary");
    let error = refused(&place, &["decompress", &names, "--raw", "--check"], &raw);
    assert!(error.contains("without --check"), "{error}");
    let file = pipe(&place, &["compress", &names], b"mary");
    let error = refused(&place, &["decompress", &names, "--check"], &file);
    assert!(error.contains("has no check byte"), "{error}");
    let error = refused(&place, &["decompress", &names, "--max-chars", "3"], &file);
    assert!(error.contains("more than 3 characters"), "{error}");
    assert_eq!(
        pipe(&place, &["decompress", &names, "--max-chars", "4"], &file),
        b"mary"
    );
}

#[test]
fn joined_files_are_read_one_after_the_other() {
    let place = Place::new();
    for model in [names(), shakespeare()] {
        let texts = ["maria", "", "To be, or not to be\n", "x\u{1f980}"];
        let mut joined = Vec::new();
        for (text, check) in texts.iter().zip([&[][..], &["--check"]].iter().cycle()) {
            let compress = [&["compress", model.as_str()], *check].concat();
            joined.extend(pipe(&place, &compress, text.as_bytes()));
        }
        let read = pipe(&place, &["decompress", &model], &joined);
        assert_eq!(String::from_utf8(read).unwrap(), texts.concat());
        let chars = texts.concat().chars().count();
        let limit = |most: usize| most.to_string();
        let decompress = ["decompress", &model, "--max-chars"];
        let error = refused(
            &place,
            &[&decompress[..], &[&limit(chars - 1)]].concat(),
            &joined,
        );
        assert!(error.contains("--max-chars"), "{error}");
        let read = pipe(
            &place,
            &[&decompress[..], &[&limit(chars)]].concat(),
            &joined,
        );
        assert_eq!(read, texts.concat().as_bytes());
    }
    // What would be taken for two is not compressed so.
    let bytes = fs::read(names()).unwrap();
    let checksum = Model::from_bytes(&bytes).unwrap().checksum();
    let header = [&b"\xc2\x8fclz\x01\0"[..], &checksum.to_le_bytes()].concat();
    // Not every checksum is text.
    if std::str::from_utf8(&header).is_ok() {
        let error = refused(&place, &["compress", &names()], &header);
        assert!(error.contains("--raw"), "{error}");
    }
}

#[test]
fn bytes_behind_the_end_of_a_message_are_refused_but_for_zeros() {
    let place = Place::new();
    let (model, other) = (names(), model("names/names-i4.charlet"));
    for text in [
        "",
        "maria",
        "maria josefina anna-lena",
        "\u{1f980}\u{1f980}",
    ] {
        for options in [&[][..], &["--check"], &["--raw"], &["--raw", "--check"]] {
            let compress = [&["compress", model.as_str()], options].concat();
            let message = pipe(&place, &compress, text.as_bytes());
            let decompress = [&["decompress", model.as_str()], options].concat();
            // To a text that is stored as it is, they are characters.
            if text.starts_with("maria") {
                let padded = [&message[..], &[0; 40]].concat();
                assert_eq!(pipe(&place, &decompress, &padded), text.as_bytes());
            }
            let foreign = pipe(&place, &["compress", &other], b"maria");
            for behind in [&foreign[..], &b"and much more\n".repeat(9)] {
                let output = piped(&place, &decompress, &[&message[..], behind].concat());
                // Where the coder left zeros out, what follows may change the text.
                let error = String::from_utf8(output.stderr).unwrap();
                let is_read = output.status.success() && output.stdout == text.as_bytes();
                assert!(!is_read, "{text:?} {options:?}");
                assert!(
                    !error.contains("behind its end") || error.contains("cut them off"),
                    "{error}"
                );
            }
        }
    }
    let message = pipe(&place, &["compress", &model], b"maria");
    let error = refused(
        &place,
        &["decompress", &model],
        &[&message[..], &[0x55; 30]].concat(),
    );
    assert!(error.contains("bytes are behind its end"), "{error}");
}

#[test]
fn no_output_replaces_an_input_or_another_kind() {
    let place = Place::new();
    fs::copy(names(), place.path("m.charlet")).unwrap();
    place.write("text", "anna\n");
    place.write("thesis.txt", "All of it.");
    let refuse = |file: &str, arguments: &[&str], words: &[&str]| {
        let before = fs::read(place.path(file)).unwrap();
        place.fail_with(arguments, words);
        assert!(fs::read(place.path(file)).unwrap() == before, "{file}");
    };
    let compress = ["compress", "m.charlet", "text", "-o"];
    let with = |output, more: &[&'static str]| [&compress[..], &[output], more].concat();
    for file in ["text", "m.charlet"] {
        refuse(file, &with(file, &[]), &["would be overwritten"]);
        refuse(
            file,
            &with(file, &["--lines", "--hex"]),
            &["would be overwritten"],
        );
    }
    refuse(
        "thesis.txt",
        &with("thesis.txt", &[]),
        &["no compressed text", "would be lost"],
    );
    refuse(
        "thesis.txt",
        &with("thesis.txt", &["--raw"]),
        &["a text file", "would be lost"],
    );
    place.fail_with(&with("nowhere/x.clz", &[]), &["no folder nowhere"]);
    for _ in 0..2 {
        place.succeed(&with("x.clz", &[]));
        place.succeed(&["decompress", "m.charlet", "x.clz", "-o", "back.txt"]);
    }
    let decompress = |output| ["decompress", "m.charlet", "x.clz", "-o", output];
    refuse("x.clz", &decompress("x.clz"), &["would be overwritten"]);
    refuse(
        "m.charlet",
        &decompress("m.charlet"),
        &["would be overwritten"],
    );
    fs::copy(names(), place.path("other.charlet")).unwrap();
    refuse(
        "other.charlet",
        &decompress("other.charlet"),
        &["a charlet model, and would be lost"],
    );
    // A message that fails leaves no part of a file.
    place.write("hex", "8df0\nzz\n");
    place.fail_with(
        &[
            "decompress",
            "m.charlet",
            "hex",
            "--lines",
            "--hex",
            "-o",
            "lost",
        ],
        &["line 2 of hex", "no hex"],
    );
    assert!(!place.path("lost").exists());
    place.fail_with(
        &["compress", "-", "-"],
        &["standard input can be read only once"],
    );
}

#[test]
fn lines_are_messages_whose_sizes_add_up() {
    let place = Place::new();
    let names = names();
    let lines = ["maria", "", "josé", "anna-lena", "\u{1f980}", "x\ty"];
    place.write("list", lines.join("\n") + "\r\n");
    let table = place.succeed(&["compress", &names, "list", "--lines"]);
    let sizes: Vec<usize> = lines
        .iter()
        .map(|line| pipe(&place, &["compress", &names, "--raw"], line.as_bytes()).len())
        .collect();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), lines.len() + 1);
    for ((row, size), line) in rows.iter().zip(&sizes).zip(lines) {
        assert_eq!(
            row.split_whitespace().next(),
            Some(size.to_string().as_str())
        );
        assert!(row.ends_with(line), "{row}");
    }
    let all: usize = sizes.iter().sum();
    let utf8: usize = lines.iter().map(|line| line.len()).sum();
    let total = format!("6 messages: {all} bytes instead of {utf8}");
    assert!(rows[6].starts_with(&total), "{table}");
    let printed = place.succeed(&["compress", &names, "list", "--lines", "--json"]);
    let json: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&json["messages"], &json["bytes"]),
        (&6.into(), &all.into())
    );
    assert_eq!(json["utf8_bytes"], utf8);
    assert!((json["ratio"].as_f64().unwrap() - all as f64 / utf8 as f64).abs() < 1e-12);
    assert!(json["seconds"].as_f64().unwrap() >= 0.0);
    let whole = place.succeed(&["compress", &names, "list", "--json"]);
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(
        (&whole["messages"], &whole["chars"]),
        (&1.into(), &(utf8 - 4 + 7).into())
    );
    let empty = pipe(&place, &["compress", &names, "--json"], b"");
    let empty: Value = serde_json::from_slice(&empty).unwrap();
    assert!(empty["ratio"].is_null() && empty["chars"] == 0);
}

#[test]
fn lines_go_through_a_pipe_and_come_back() {
    let place = Place::new();
    let names = names();
    let mut random = Streams::new(19).weights;
    let mut list: Vec<String> = (0..300).map(|n| random_text(&mut random, n % 30)).collect();
    list.extend(["", "maria", "", "\u{feff}x"].map(str::to_owned));
    for line in &mut list {
        line.retain(|char| char != '\n' && char != '\r');
    }
    let text = list.join("\n") + "\n";
    for form in FORMS {
        for options in [&["--threads", "1"][..], &["--check"]] {
            let compress = [&["compress", &names, "--lines", form][..], options].concat();
            let output = piped(&place, &compress, text.as_bytes());
            let messages = String::from_utf8(output.stdout).unwrap();
            assert_eq!(messages.lines().count(), list.len(), "{form}");
            let figures = String::from_utf8(output.stderr).unwrap();
            assert!(figures.starts_with("304 messages: "), "{figures}");
            let decompress = [&["decompress", &names, "--lines", form][..], options].concat();
            let read = pipe(&place, &decompress, messages.as_bytes());
            assert!(read == text.as_bytes(), "{form}");
        }
    }
    // To a file, and the table where it is out of the way.
    place.write("list", &text);
    let compress = ["compress", &names, "list", "--lines", "--hex", "-o", "hex"];
    assert_eq!(place.succeed(&compress).lines().count(), 305);
    let decompress = [
        "decompress",
        &names,
        "hex",
        "--lines",
        "--hex",
        "-o",
        "back",
    ];
    place.succeed(&decompress);
    assert!(fs::read(place.path("back")).unwrap() == text.as_bytes());
    for wrong in [
        &["compress", &names, "list", "--lines", "-o", "x"][..],
        &["decompress", &names, "hex", "--lines"],
    ] {
        place.fail_with(wrong, &["bytes have no lines", "--hex"]);
    }
    let both = ["compress", &names, "list", "--lines", "--hex", "--json"];
    place.fail_with(&both, &["--json", "-o"]);
    #[cfg(unix)]
    {
        place.write("long", "maria\n".repeat(20_000));
        let arguments = ["compress", &names, "long", "--lines", "--hex"];
        let mut child = place
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_message_is_answered_before_the_next_comes() {
    use std::io::{BufRead, BufReader};

    let place = Place::new();
    let names = names();
    for (command, sent, expected) in [
        ("compress", "maria", None),
        ("decompress", "", Some("maria")),
    ] {
        let coded = pipe(
            &place,
            &["compress", &names, "--lines", "--hex"],
            b"maria\n",
        );
        let coded = String::from_utf8(coded).unwrap();
        let (sent, expected) = match expected {
            None => (sent, coded.trim_end()),
            Some(text) => (coded.trim_end(), text),
        };
        let mut child = place
            .command(&[command, &names, "--lines", "--hex"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..2 {
            writeln!(input, "{sent}").unwrap();
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            assert_eq!(line.trim_end(), expected);
        }
        drop(input);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn notes_tell_what_may_be_meant_otherwise() {
    let place = Place::new();
    place.write("text.charlet", text_model());
    let note = |arguments: &[&str], input: &str| {
        let output = piped(&place, arguments, input.as_bytes());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let text = &text()[..300];
    assert!(note(&["compress", &names()], "anna\nmaria\n").contains("--lines"));
    assert!(!note(&["compress", &names()], "anna\n").contains("--lines"));
    assert!(!note(&["compress", &shakespeare()], text).contains("note"));
    assert!(note(&["compress", "text.charlet"], text).contains("single precision"));
    let compressed = pipe(&place, &["compress", "text.charlet"], text.as_bytes());
    assert_eq!(
        pipe(&place, &["decompress", "text.charlet"], &compressed),
        text.as_bytes()
    );
}

/// Bytes are nothing for a terminal, what it would obey neither.
#[cfg(unix)]
#[test]
fn a_terminal_gets_no_bytes() {
    use crate::support::terminal::Terminal;

    let place = Place::new();
    let names = names();
    place.write("text", "anna\u{1b}[2J\n");
    let terminal = Terminal::run(&place, [30, 100], &["compress", &names, "text"]);
    let (code, shown) = terminal.end_with_all();
    assert_eq!(code, 1);
    assert!(
        shown.contains("nothing for a terminal") && shown.contains("-o"),
        "{shown}"
    );
    let terminal = Terminal::run(&place, [30, 100], &["compress", &names, "text", "--hex"]);
    let (code, shown) = terminal.end_with_all();
    assert!(code == 0 && shown.contains("8f636c7a01"), "{shown}");
    place.succeed(&["compress", &names, "text", "-o", "x.clz"]);
    let terminal = Terminal::run(&place, [30, 100], &["decompress", &names, "x.clz"]);
    let (code, shown) = terminal.end_with_all();
    assert!(code == 0 && shown.contains("anna\\u{1b}[2J"), "{shown}");
    let lines = ["compress", &names, "text", "--lines", "--hex"];
    let (code, shown) = Terminal::run(&place, [30, 100], &lines).end_with_all();
    assert!(
        code == 0 && shown.contains("of UTF-8") && shown.contains("1 message:"),
        "{shown}"
    );
}

/// A signal ends it at once, and leaves no part of a file. Not Ctrl-C's, which a shell lets its background jobs
/// ignore.
#[cfg(unix)]
#[test]
fn an_interrupted_command_leaves_nothing() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    let place = Place::new();
    place.write(
        "long",
        "To be, or not to be, that is the question.\n".repeat(100_000),
    );
    let mut child = place
        .command(&["compress", &shakespeare(), "long", "-o", "x.clz"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(place.files("."), ["long"]);
}
