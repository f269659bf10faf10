//! Data as people have them: copies, blank lines, other encodings, forms and layouts. What is changed is said, and what
//! can't be used is refused with the way out.

use std::fs::{self, File};

use serde_json::Value;

use crate::support::place::{Place, SHORT, lines};
use crate::support::repository;

fn names_model() -> String {
    let path = repository("models/names/names.charlet");
    path.to_str().unwrap().to_owned()
}

fn trained(place: &Place, file: &str, options: &[&str]) -> String {
    place.succeed(
        &[
            &["train", file, "--out", "run", "--force"][..],
            &SHORT,
            options,
        ]
        .concat(),
    )
}

/// The alphabet of the model that was trained last.
fn chars(place: &Place, name: &str) -> String {
    let model = format!("run/{name}.charlet");
    let info: Value = serde_json::from_str(&place.succeed(&["info", &model, "--json"])).unwrap();
    info["chars"].as_str().unwrap().to_owned()
}

/// What a command that succeeds says on stderr, and what it prints.
fn told(place: &Place, arguments: &[&str]) -> (String, String) {
    let output = place.run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (err, out) = (text(output.stderr), text(output.stdout));
    assert!(output.status.success(), "{err}");
    (err, out)
}

#[test]
fn lines_that_come_again_are_told() {
    let place = Place::new();
    let file = place.write("often.txt", lines().repeat(10));
    let printed = trained(&place, &file, &[]);
    assert!(
        printed.contains("90 lines to train on, 10 lines held out"),
        "{printed}"
    );
    assert!(
        printed.contains("90 lines are repeated: equal lines"),
        "{printed}"
    );
    let printed = trained(&place, &file, &["--val", &file]);
    assert!(
        printed.contains("100 of the 100 held-out lines"),
        "{printed}"
    );
    let once = place.write("once.txt", lines());
    let printed = trained(&place, &once, &[]);
    assert!(!printed.contains("repeated"), "{printed}");
}

#[test]
fn blank_lines_are_no_entries_of_a_list() {
    let place = Place::new();
    let file = place.write("list.txt", lines() + "\n   \n\t\n\u{2003}\u{a0}\n zoe\n");
    let printed = trained(&place, &file, &[]);
    for part in ["dropped 4 blank lines", "1 line begins or ends with blanks"] {
        assert!(printed.contains(part), "{printed}");
    }
    assert!(!chars(&place, "list").contains(['\t', '\u{a0}', '\u{2003}']));
    let model = names_model();
    let blanks = place.write("blanks.txt", "anna\n \n\t\u{3000}\nberta\n");
    let (notes, printed) = told(&place, &["eval", &model, &blanks]);
    assert!(notes.contains("dropped 2 blank lines"), "{notes}");
    assert!(printed.contains("lines                     2"), "{printed}");
    assert_eq!(
        place.succeed(&["score", &model, &blanks]).lines().count(),
        2
    );
    let prompts = ["generate", &model, "--prompt-from", &blanks, "-n", "30"];
    let made = place.succeed(&prompts);
    assert!(
        made.lines().all(|line| line.starts_with(['a', 'b'])),
        "{made}"
    );
}

#[test]
fn other_encodings_are_named_and_read() {
    let place = Place::new();
    let list = "käthe\njörg\nmüller\nweiß\nbjörn\nanja\nolaf\nsöhne\ngrün\nzoë\n";
    // All of it is in Latin-1, where a character's byte is its number.
    let latin: Vec<u8> = list.chars().map(|char| u32::from(char) as u8).collect();
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let latin = place.write("latin.txt", latin);
    let advice = [
        "windows-1252",
        "--encoding windows-1252",
        "iconv -f windows-1252 -t UTF-8",
    ];
    place.fail_with(&["train", &latin], &advice);
    place.fail_with(&["eval", &names_model(), &latin], &advice);
    trained(&place, &latin, &["--encoding", "latin1"]);
    assert!(chars(&place, "latin").ends_with("ßäëöü"));
    let settings = fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(
        settings.contains("encoding = \"windows-1252\""),
        "{settings}"
    );
    // The settings are enough to go on, and the other commands read the file as well.
    place.succeed(&["train", "--resume", "run", "--epochs", "2"]);
    let model = "run/latin.charlet";
    let encoding = ["--encoding", "latin1"];
    let eval = place.succeed(&[&["eval", model, &latin, "--json"][..], &encoding].concat());
    let eval: Value = serde_json::from_str(&eval).unwrap();
    assert_eq!((&eval["unknown"], &eval["lines"]), (&0.into(), &10.into()));
    let scored = place.succeed(&[&["score", model, &latin][..], &encoding].concat());
    assert!(scored.contains("käthe"), "{scored}");
    place.succeed(&[&["generate", model, "--prompt-from", &latin][..], &encoding].concat());
    let bare = place.write("bare.txt", utf16(list));
    let advice = [
        "UTF-16LE",
        "--encoding utf-16le",
        "iconv -f UTF-16LE -t UTF-8",
    ];
    place.fail_with(&["train", &bare], &advice);
    let marked = place.write("marked.txt", utf16(&format!("\u{feff}{list}")));
    let printed = trained(&place, &marked, &[]);
    assert!(printed.contains("read as UTF-16LE"), "{printed}");
    let wrong = place.run(&["train", &latin, "--encoding", "ebcdic"]);
    let wrong = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        wrong.contains("no encoding") && wrong.contains("koi8-r"),
        "{wrong}"
    );
    place.fail_with(
        &["train", &latin, "--encoding", "utf-16le"],
        &["not UTF-16LE at byte offset"],
    );
}

#[test]
fn byte_order_marks_of_joined_files_are_dropped_and_told() {
    let place = Place::new();
    let marked = format!("\u{feff}{}", lines());
    let file = place.write("joined.txt", marked.repeat(3));
    let printed = trained(&place, &file, &[]);
    assert!(
        printed.contains("dropped 2 byte order marks within it"),
        "{printed}"
    );
    assert!(!chars(&place, "joined").contains('\u{feff}'));
}

#[test]
fn letters_with_accents_are_made_one_or_their_other_form_is_named() {
    let place = Place::new();
    let composed = lines() + "ren\u{e9}\nzo\u{e9}\nl\u{e9}a\n";
    let decomposed = composed.replace('\u{e9}', "e\u{301}");
    let nfc = place.write("nfc.txt", &composed);
    let nfd = place.write("nfd.txt", &decomposed);
    let printed = trained(&place, &nfd, &[]);
    assert!(
        printed.contains("3 lines have") && printed.contains("--normalize nfc"),
        "{printed}"
    );
    place.fail_with(
        &["generate", "run/nfd.charlet", "--prompt", "zo\u{e9}"],
        &["decomposed", "NFD"],
    );
    let (notes, printed) = told(&place, &["eval", "run/nfd.charlet", &nfc]);
    assert!(
        notes.contains("NFD") && printed.contains("unknown                   3"),
        "{notes}"
    );
    let normalized = [
        "eval",
        "run/nfd.charlet",
        &nfc,
        "--normalize",
        "nfd",
        "--json",
    ];
    let normalized: Value = serde_json::from_str(&place.succeed(&normalized)).unwrap();
    assert_eq!(normalized["unknown"], 0);
    let scored = place.succeed(&["score", "run/nfd.charlet", &nfc]);
    assert!(scored.contains("NFD"), "{scored}");
    let printed = trained(&place, &nfd, &["--normalize", "nfc"]);
    assert!(!printed.contains("--normalize"), "{printed}");
    assert!(chars(&place, "nfd").ends_with("z\u{e9}"));
    place.fail_with(
        &["generate", "run/nfd.charlet", "--prompt", "zoe\u{301}"],
        &["composed", "NFC"],
    );
    let settings = fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(settings.contains("normalize = \"nfc\""), "{settings}");
    let printed = trained(&place, &nfc, &[]);
    assert!(!printed.contains("--normalize"), "{printed}");
}

#[test]
fn unknown_characters_are_left_out_of_a_loss_and_counted() {
    let place = Place::new();
    let model = names_model();
    let file = place.write("names", "anna\n\nber?a\nB\u{e9}a\n");
    let (notes, printed) = told(&place, &["eval", &model, &file]);
    for part in ["3 characters", "line 3, character 4", "'?'"] {
        assert!(notes.contains(part), "{notes}");
    }
    assert!(printed.contains("unknown                   3"), "{printed}");
    let json = |file: &str| -> Value {
        serde_json::from_str(&place.succeed(&["eval", &model, file, "--json"])).unwrap()
    };
    // What is left is judged as if they weren't there.
    let without = place.write("without", "anna\nbera\na\n");
    let (with, without) = (json(&file), json(&without));
    assert_eq!(
        (&with["unknown"], &without["unknown"]),
        (&3.into(), &0.into())
    );
    assert_eq!(
        (&with["nats"], &with["chars"]),
        (&without["nats"], &without["chars"])
    );
    let none = place.write("none", "???\n!\n");
    place.fail_with(&["eval", &model, &none], &["none of the characters", "'?'"]);
}

#[test]
fn a_prompt_in_a_pipe_that_can_not_be_continued_does_not_end_the_others() {
    let place = Place::new();
    let model = names_model();
    place.write("prompts", b"ma\nb?\nk\xe4\nan\n");
    let input = File::open(place.path("prompts")).unwrap();
    let mut command = place.command(&["generate", &model, "-i", "--seed", "1"]);
    let output = command.stdin(input).output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(1), "{err}");
    let made: Vec<&str> = out.lines().collect();
    assert!(
        made.len() == 2 && made[0].starts_with("ma") && made[1].starts_with("an"),
        "{out}"
    );
    let errors: Vec<&str> = err.lines().collect();
    assert!(
        errors[0].contains("line 2") && errors[0].contains("'?'"),
        "{err}"
    );
    assert!(
        errors[1].contains("line 3") && errors[1].contains("UTF-8"),
        "{err}"
    );
}

#[test]
fn running_text_in_a_list_is_noticed() {
    let place = Place::new();
    let one = place.write("one.txt", "once upon a time ".repeat(200));
    place.fail_with(
        &["train", &one],
        &["1 line", "3,400 characters", "--mode text"],
    );
    // One long line among short ones costs as much as it is long, and no more.
    let mixed = place.write("mixed.txt", lines() + &"once upon a time ".repeat(600));
    let printed = trained(&place, &mixed, &[]);
    for part in ["11 lines, the longest of 10,200 characters", "--mode text"] {
        assert!(printed.contains(part), "{printed}");
    }
}
