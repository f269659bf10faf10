//! `charlet score`: surprise per line.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::support::place::Place;
use crate::support::repository;
use crate::support::text_model::{text, text_model};

fn names() -> String {
    let path = repository("models/names/names.charlet");
    path.to_str().unwrap().to_owned()
}

fn json(printed: &str) -> Vec<Value> {
    let lines = printed.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn bits(scored: &Value) -> f64 {
    scored["bits"].as_f64().unwrap()
}

/// Bits and characters that `eval` finds in a file.
fn evaluated(place: &Place, model: &str, file: &str) -> (f64, u64) {
    let printed = place.succeed(&["eval", model, file, "--json"]);
    let value: Value = serde_json::from_str(&printed).unwrap();
    let nats = value["nats"].as_f64().unwrap();
    (
        nats / std::f64::consts::LN_2,
        value["chars"].as_u64().unwrap(),
    )
}

#[test]
fn the_bits_of_all_lines_are_those_that_eval_finds() {
    let place = Place::new();
    place.write("list", "anna\nberta\n\nxqzt\r\nmaria");
    place.write("text.charlet", text_model());
    place.write("text", &text()[..400]);
    for (model, file, lines) in [(names().as_str(), "list", 4), ("text.charlet", "text", 0)] {
        let scored = json(&place.succeed(&["score", model, file, "--json"]));
        assert!(scored.len() == lines || lines == 0, "{scored:?}");
        let (expected, chars) = evaluated(&place, model, file);
        let sum: f64 = scored.iter().map(bits).sum();
        assert!((sum - expected).abs() < 1e-6, "{file}: {sum}, {expected}");
        let counted: u64 = scored
            .iter()
            .map(|line| line["chars"].as_u64().unwrap())
            .sum();
        assert_eq!(counted, chars, "{file}");
        for line in &scored {
            let mean = bits(line) / line["chars"].as_f64().unwrap();
            assert!((line["bits_per_char"].as_f64().unwrap() - mean).abs() < 1e-9);
        }
    }
}

#[test]
fn the_characters_of_a_line_add_up_and_its_end_is_one() {
    let place = Place::new();
    place.write("list", "maria\n");
    let scored = json(&place.succeed(&["score", &names(), "list", "--json", "--explain"]));
    let chars: Vec<f64> = serde_json::from_value(scored[0]["bits_of_chars"].clone()).unwrap();
    assert_eq!(chars.len(), 6);
    assert!((chars.iter().sum::<f64>() - bits(&scored[0])).abs() < 1e-9);
    let plain = place.succeed(&["score", &names(), "list", "--explain"]);
    let explained = plain.lines().nth(1).unwrap();
    let words: Vec<&str> = explained.split_whitespace().collect();
    assert_eq!(words.len(), 12, "{explained}");
    assert_eq!((words[0], words[10]), ("m", "end"));
    assert_eq!(words[1], format!("{:.2}", chars[0]));
}

#[test]
fn odd_lines_stand_out() {
    let place = Place::new();
    let list = "maria\nanna\nxqzvkj\nkarina\nelena\nairam\nsofia\nmarina\n";
    place.write("list", list);
    let sorted = place.succeed(&["score", &names(), "list", "--sort"]);
    assert_eq!(sorted.lines().count(), 8);
    let mut order = sorted
        .lines()
        .map(|line| line.split_whitespace().nth(2).unwrap());
    assert_eq!(order.next(), Some("xqzvkj"));
    let place_of = |name: &str| sorted.find(name).unwrap();
    assert!(
        place_of("airam") < place_of("maria"),
        "letters out of order surprise more"
    );
    let top = place.succeed(&["score", &names(), "list", "--top", "3"]);
    assert!(sorted.starts_with(&top) && top.lines().count() == 3);
    let odd = place.succeed(&["score", &names(), "list", "--threshold", "5"]);
    assert_eq!(odd.lines().count(), 1);
    assert!(odd.ends_with("xqzvkj\n"), "{odd}");
    // By the whole line a long name is odder than a short one.
    place.write("lengths", "xu\nalexandrinamarianna\n");
    let first = |by: &str| {
        let lines = place.succeed(&["score", &names(), "lengths", "--by", by]);
        lines
            .lines()
            .next()
            .unwrap()
            .split_whitespace()
            .nth(2)
            .unwrap()
            .to_owned()
    };
    assert_eq!(first("total"), "alexandrinamarianna");
    assert_eq!(first("per-char"), "xu");
}

#[test]
fn upper_case_is_made_lower_case_where_that_was_learnt() {
    let place = Place::new();
    place.write("upper", "MARIA\nAnna\n");
    place.write("lower", "maria\nanna\n");
    let names = names();
    for command in ["score", "eval"] {
        let lower = place.succeed(&[command, &names, "lower"]);
        let made = place.succeed(&[command, &names, "upper", "--lowercase"]);
        assert_eq!(made, lower, "{command}");
    }
    let told = place.run(&["eval", &names, "upper"]).stderr;
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("'M'") && told.contains("lower case only"),
        "{told}"
    );
}

#[test]
fn unknown_characters_surprise_without_limit_and_are_named() {
    let place = Place::new();
    place.write("list", b"anna\nber?a\nmar\xffia\nxqzv\n");
    let sorted = place.succeed(&["score", &names(), "list", "--sort"]);
    let lines: Vec<&str> = sorted.lines().collect();
    assert!(
        lines[0].contains("inf") && lines[0].contains("'?', character 4"),
        "{sorted}"
    );
    assert!(lines[1].contains("'\u{fffd}', character 4"), "{sorted}");
    assert!(
        lines[2].ends_with("xqzv") && !lines[2].contains("inf"),
        "{sorted}"
    );
    let scored = json(&place.succeed(&["score", &names(), "list", "--json", "--threshold", "0"]));
    assert_eq!(scored.len(), 4);
    let odd = &scored[1];
    assert!(odd["bits"].is_null() && odd["bits_per_char"].is_null());
    assert_eq!(
        (&odd["unknown"]["char"], &odd["unknown"]["at"]),
        (&"?".into(), &4.into())
    );
    assert!(scored[0]["unknown"].is_null() && scored[0]["bits"].is_f64());
    assert_eq!((&odd["number"], &odd["line"]), (&2.into(), &"ber?a".into()));
}

#[test]
fn a_running_text_is_carried_on_unless_each_line_is_by_itself() {
    let place = Place::new();
    place.write("text.charlet", text_model());
    place.write("text", "cab bad\n\ncab bad\ncab bad");
    let scored = |options: &[&str]| {
        json(&place.succeed(&[&["score", "text.charlet", "text", "--json"][..], options].concat()))
    };
    let carried = scored(&[]);
    assert_eq!(carried.len(), 4, "an empty line counts");
    assert_eq!(carried[1]["chars"], 1);
    assert_ne!(bits(&carried[0]), bits(&carried[2]), "the state is another");
    let each = scored(&["--each"]);
    assert_eq!(each.len(), 3);
    assert_eq!(bits(&each[0]), bits(&each[1]));
    assert_eq!(bits(&each[0]), bits(&carried[0]));
    // The last line has no break, which is a character less.
    assert_eq!(
        each[1]["chars"].as_u64().unwrap(),
        each[2]["chars"].as_u64().unwrap() + 1
    );
}

#[test]
fn a_log_is_scored_while_it_grows() {
    let place = Place::new();
    let mut command = place.command(&["score", &names(), "--threshold", "5"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for odd in ["xqzvkj", "qqqqxx"] {
        // The answer comes before the input ends.
        input
            .write_all(format!("maria\n{odd}\n").as_bytes())
            .unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.ends_with(&format!("{odd}\n")), "{line}");
    }
    drop(input);
    let mut rest = String::new();
    assert_eq!(output.read_line(&mut rest).unwrap(), 0, "{rest}");
    assert!(child.wait().unwrap().success());
    place.fail_with(
        &["score", &names(), "missing"],
        &["missing", "No such file"],
    );
    #[cfg(unix)]
    {
        place.write("long", "maria\n".repeat(20_000));
        place.succeed_unread(&["score", &names(), "long"]);
    }
}

#[test]
fn malformed_bytes_are_told_once_and_empty_answers_are_refused() {
    let place = Place::new();
    place.write("latin.txt", b"caf\xe9\nna\xefve\nanna\n");
    let output = place
        .command(&["score", &names(), "latin.txt"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(
        stderr.matches("latin.txt is not UTF-8 everywhere").count(),
        1,
        "{stderr}"
    );
    assert!(stderr.contains("--encoding"), "{stderr}");
    for (option, value) in [("--threshold", "nan"), ("--top", "0")] {
        let score = ["score", "model", "latin.txt", option, value];
        let output = place.command(&score).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains(option));
    }
}

/// Lines of a list are read together, and pieces of it on several threads.
#[test]
fn a_long_list_is_scored_in_its_order_whatever_the_threads() {
    let place = Place::new();
    let mut list = String::new();
    for number in 0..20_000 {
        let name = ["anna", "", "maria?", "xqzt", "katharina"][number % 5];
        list += &format!("{name}{}\n", "a".repeat(number % 7));
    }
    place.write("list", &list);
    let names = names();
    let options: [&[&str]; 4] = [
        &[],
        &["--json", "--explain"],
        &["--threshold", "3.5"],
        &["--top", "70"],
    ];
    for options in options {
        let score = |threads: &str| {
            let command = ["score", &names, "list", "--threads", threads];
            place.succeed(&[&command[..], options].concat())
        };
        let alone = score("1");
        assert_eq!(score("2"), alone, "{options:?}");
    }
    let scored = json(&place.succeed(&["score", &names, "list", "--json"]));
    let lines = (1..).zip(list.lines());
    let expected: Vec<(u64, &str)> = lines.filter(|(_, line)| !line.is_empty()).collect();
    assert_eq!(scored.len(), expected.len());
    for (scored, (number, line)) in scored.iter().zip(expected) {
        assert_eq!(scored["number"].as_u64(), Some(number));
        assert_eq!(scored["line"].as_str(), Some(line));
    }
    // Only the most surprising are kept meanwhile: they are those of all.
    let sorted = place.succeed(&["score", &names, "list", "--sort"]);
    let top = place.succeed(&["score", &names, "list", "--top", "70"]);
    assert!(top.lines().eq(sorted.lines().take(70)));
}
