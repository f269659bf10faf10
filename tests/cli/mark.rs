//! Models with a mark for unknown characters: each has a price, and none ends or is left out.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::place::{Place, SHORT, lines};

/// A place with `list.charlet` and `text.charlet`, both with a mark, and `plain.charlet` without.
fn place() -> Place {
    let place = Place::new();
    place.write("list.txt", lines().repeat(20) + "X\n");
    let rare = ["--val", "list.txt", "--min-count", "2"];
    for (name, options) in [
        ("list", &rare[..]),
        ("plain", &[]),
        (
            "text",
            &["--mode", "text", "--val", "list.txt", "--min-count", "2"],
        ),
    ] {
        place.succeed(&[&["train", "list.txt", "--out", name][..], options, &SHORT].concat());
        let (from, to) = (format!("{name}/list.charlet"), format!("{name}.charlet"));
        std::fs::rename(place.path(&from), place.path(&to)).unwrap();
    }
    place
}

/// What a command that succeeds prints, and what it says on stderr.
fn told(place: &Place, arguments: &[&str], input: &str) -> (String, String) {
    let mut command = place.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(status.success(), "{arguments:?}: {err}");
    (out, err)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_unknown_character_has_the_price_of_the_mark() {
    let place = place();
    place.write("marked", "anna\nbüß\n");
    place.write("as marked", "anna\nb\u{10ffff}\0\n".replace('\0', "語"));
    for (model, chars) in [("list.charlet", 9), ("text.charlet", 9)] {
        let (printed, said) = told(&place, &["eval", model, "marked"], "");
        assert!(
            said.contains("2 characters that the model does not know are priced as its mark for such, first 'ü' in line 2, character 2"),
            "{said}"
        );
        assert!(printed.contains("unknown                   2"), "{printed}");
        let eval = |file| json(&told(&place, &["eval", model, file, "--json"], "").0);
        let (one, other) = (eval("marked"), eval("as marked"));
        assert_eq!(one, other, "which it is makes no difference");
        assert_eq!((&one["chars"], &one["unknown"]), (&chars.into(), &2.into()));
    }
    // Without a mark they are left out.
    let (printed, said) = told(&place, &["eval", "plain.charlet", "marked", "--json"], "");
    assert_eq!((&json(&printed)["chars"], said.as_str()), (&7.into(), ""));
}

#[test]
fn a_line_of_unknown_characters_is_scored() {
    let place = place();
    for model in ["list.charlet", "text.charlet"] {
        let input = "anna\n語語a\nX\n";
        let (printed, _) = told(
            &place,
            &["score", model, "--each", "--json", "--explain"],
            input,
        );
        let lines: Vec<Value> = printed.lines().map(json).collect();
        let unknown = [0, 2, 1].map(Value::from);
        assert_eq!(lines.len(), 3);
        for (line, unknown) in lines.iter().zip(unknown) {
            assert!(line["bits"].is_f64(), "{line}");
            assert_eq!(line["unknown_count"], unknown, "{line}");
            assert_eq!(line["unknown"].is_null(), unknown == 0, "{line}");
        }
        assert_eq!(lines[1]["unknown"]["at"], 1);
        let bits = lines[1]["bits_of_chars"].as_array().unwrap();
        assert!(bits.iter().all(Value::is_f64), "{bits:?}");
        let (printed, _) = told(&place, &["score", model], input);
        for words in [
            "[the model does not know '語', character 1, and 1 more: priced as its mark for such]",
            "[the model does not know 'X', character 1: priced as its mark for such]",
        ] {
            assert!(printed.contains(words), "{printed}");
        }
    }
    let (printed, _) = told(&place, &["score", "plain.charlet", "--json"], "語\n");
    let line = json(&printed);
    assert!(
        line["bits"].is_null() && line.get("unknown_count").is_none(),
        "{line}"
    );
}

#[test]
fn any_prompt_is_continued_with_known_characters() {
    let place = place();
    let known: String = lines();
    for model in ["list.charlet", "text.charlet"] {
        let run = |options: &[&str], input: &str| {
            let always = [
                "generate",
                model,
                "--seed",
                "1",
                "--temperature",
                "100",
                "--length",
                "300",
            ];
            told(&place, &[&always[..], options].concat(), input)
        };
        let is_known = |text: &str| text.chars().all(|char| known.contains(char));
        let (printed, said) = run(&["--prompt", "語x語"], "");
        let note = "note: 3 characters of what is continued are not known to the model, and read as its mark for such\n";
        assert_eq!(said, note);
        assert!(printed.starts_with("語x語"), "{printed}");
        assert!(is_known(&printed.replace("語x語", "")), "{printed}");
        assert_eq!(
            run(&["--prompt", "ü!ü"], "").0,
            printed.replace("語x語", "ü!ü")
        );

        let (printed, said) = run(&["--interactive"], "anna\n語\n");
        assert!(
            said.starts_with("note: line 2: 1 character of what is continued is not known"),
            "{said}"
        );
        assert!(is_known(&printed.replace('語', "")), "{printed}");

        place.write("others", "語語語語\n".repeat(50));
        let from = ["--prompt-from", "others", "--prompt-length", "3", "-n", "2"];
        let (printed, said) = run(&from, "");
        assert!(
            said.contains(" characters of what is continued are not known"),
            "{said}"
        );
        assert!(is_known(&printed.replace('語', "")), "{printed}");

        // It is no character that may come next.
        let (printed, _) = run(&["--prompt", "an"], "");
        assert!(is_known(&printed));
        let top = [
            "generate", model, "--top", "99", "--json", "--prompt", "a語",
        ];
        let (printed, _) = told(&place, &top, "");
        let top = json(&printed);
        let next = top["next"].as_array().unwrap();
        let sum: f64 = next
            .iter()
            .map(|next| next["probability"].as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        assert!(
            next.iter()
                .all(|next| !next["char"].is_null() || next["name"] == "end"),
            "{printed}"
        );
        // A stop string has to be one that can come.
        place.fail_with(
            &["generate", model, "--until", "語"],
            &["never comes", "'語'"],
        );
    }
    place.fail_with(&["generate", "plain.charlet", "--prompt", "語"], &["'語'"]);
}

#[test]
fn info_tells_of_the_mark() {
    let place = place();
    for (model, has_mark, version) in [("list.charlet", true, 2), ("plain.charlet", false, 1)] {
        let info = json(&place.succeed(&["info", model, "--json"]));
        assert_eq!(info["unknown_mark"], has_mark);
        assert_eq!(info["format_version"], version);
        let printed = place.succeed(&["info", model]);
        assert_eq!(
            printed.contains("a mark stands for all other characters"),
            has_mark,
            "{printed}"
        );
    }
}
