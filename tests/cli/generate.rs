//! `charlet generate`: where text starts, where it ends, and what may come next.

use std::fs;

use charlet::format::Precision;
use charlet::{Logits, Model, Token};
use charlet_trainer::inference::text_model::TextModel;
use serde_json::Value;

use crate::support::place::Place;
use crate::support::text_model::text_model;
use crate::support::tolerance::{FIXED_PROBABILITY, PROBABILITY};
use crate::support::{memory, model_of, repository};

fn names(precision: &str) -> String {
    let path = repository(&format!("models/names/names{precision}.charlet"));
    path.to_str().unwrap().to_owned()
}

/// What `generate` prints.
fn generate(place: &Place, model: &str, options: &[&str]) -> String {
    place.succeed(&[&["generate", model, "--seed", "1"][..], options].concat())
}

/// A folder with a model of running text in it.
fn with_text_model() -> Place {
    let place = Place::new();
    place.write("text.charlet", text_model());
    place
}

#[test]
fn a_text_ends_with_the_first_stop_string_that_appears() {
    let place = with_text_model();
    let text = |options: &[&str]| generate(&place, "text.charlet", options);
    let whole = text(&[]);
    assert_eq!(whole.chars().count(), 401);
    for stop in ["ab", "bab", "ü", "\n\n", "c d"] {
        let expected = match whole.find(stop) {
            Some(at) => whole[..at + stop.len()].to_owned() + "\n",
            None => whole.clone(),
        };
        assert_eq!(text(&["--until", stop]), expected, "{stop:?}");
    }
    assert!(whole.contains("ü") && whole.contains("ab"), "{whole}");
    assert_eq!(text(&["--until", "\\n"]), text(&["--until", "\n"]));
    let both = text(&["--until", "ab", "--until", "ü"]);
    let (first, second) = (text(&["--until", "ab"]), text(&["--until", "ü"]));
    assert_eq!(both.len(), first.len().min(second.len()));
    assert_eq!(text(&["--until", "ü", "--length", "1"]).chars().count(), 2);
}

#[test]
fn old_names_of_options_are_read_and_not_shown() {
    let place = with_text_model();
    place.write("source", "ab ab cd cab dcü ab");
    let same = |old: &[&str], new: &[&str]| {
        let made = |options: &[&str]| generate(&place, "text.charlet", options);
        assert_eq!(made(old), made(new), "{old:?}");
    };
    same(&["--prime", "ü a"], &["--prompt", "ü a"]);
    same(&["--greedy"], &["--argmax"]);
    same(
        &["--random-seed-text", "source", "--seed-length", "3"],
        &["--prompt-from", "source", "--prompt-length", "3"],
    );
    let help = place.succeed(&["generate", "--help"]);
    for old in ["--prime", "--greedy", "--random-seed-text", "--seed-length"] {
        assert!(!help.contains(old), "{help}");
    }
}

#[test]
fn a_stop_string_may_begin_in_the_prompt() {
    let place = with_text_model();
    let primed = |options: &[&str]| {
        let options = [&["--prompt", "ü a", "--length", "1"][..], options].concat();
        generate(&place, "text.charlet", &options)
    };
    let next = primed(&[]).chars().nth(3).unwrap();
    let stop = format!(" a{next}");
    let longer = generate(
        &place,
        "text.charlet",
        &["--prompt", "ü a", "--until", &stop],
    );
    assert_eq!(longer, primed(&[]));
    // One that was complete before ends nothing.
    let going_on = generate(
        &place,
        "text.charlet",
        &["--prompt", "ü a", "--until", "ü a", "--length", "2"],
    );
    assert_eq!(going_on.chars().count(), 6);
}

#[test]
fn a_stop_string_that_never_comes_is_refused() {
    let place = with_text_model();
    let names = names("");
    let refuse = |model: &str, stop: &str, words: &[&str]| {
        place.fail_with(&["generate", model, "--until", stop], words);
    };
    refuse("text.charlet", "aX", &["--until \"aX\"", "'X'"]);
    refuse(&names, "\\n", &["each of its texts is a line"]);
    let empty = place.run(&["generate", &names, "--until", ""]);
    assert!(String::from_utf8_lossy(&empty.stderr).contains("empty"));
}

#[test]
fn several_temperatures_each_have_a_heading_and_the_text_of_their_own() {
    let place = Place::new();
    let model = names("-i8");
    let all = generate(
        &place,
        &model,
        &["-n", "3", "--temperature", "0.2,0.5,1.0,1.2"],
    );
    let alone = ["0.2", "0.5", "1", "1.2"].map(|temperature| {
        let text = generate(&place, &model, &["-n", "3", "--temperature", temperature]);
        format!("--- temperature {temperature}\n{text}")
    });
    assert_eq!(all, alone.join("\n"));
    place.fail_with(
        &["generate", &model, "--temperature", "0.5,0"],
        &["--temperature 0 ", "--argmax"],
    );
}

#[test]
fn random_pieces_are_continued_and_the_seed_chooses_them() {
    let place = with_text_model();
    let source = "ab ab cd Xab cab dcü ab ba cdb aüb cda bXc ab";
    place.write("source", source);
    let options = |seed: &'static str| {
        let text = ["--prompt-from", "source", "--prompt-length", "9"];
        [&text[..], &["--length", "3", "--seed", seed]].concat()
    };
    let mut pieces = Vec::new();
    for seed in ["1", "2", "3", "4", "5", "6"] {
        let text = generate(&place, "text.charlet", &options(seed));
        let piece: String = text.chars().take(9).collect();
        assert_eq!(text.chars().count(), 13, "{text:?}");
        assert!(source.contains(&piece) && !piece.contains('X'), "{piece:?}");
        // As if it had been given as the prompt.
        let primed = ["--prompt", &piece, "--length", "3", "--seed", seed];
        assert_eq!(text, generate(&place, "text.charlet", &primed));
        pieces.push(piece);
    }
    pieces.dedup();
    assert!(pieces.len() > 1, "{pieces:?}");

    place.write("list", "maria\nÜnal\nanna\n");
    let list = ["--prompt-from", "list", "-n", "20"];
    let lines = generate(&place, &names(""), &list);
    let beginning = |beginning: &str| lines.lines().any(|line| line.starts_with(beginning));
    assert!(beginning("ma") && beginning("an"), "{lines}");
    assert!(
        lines
            .lines()
            .all(|line| line.starts_with("ma") || line.starts_with("an"))
    );
    let long = ["--prompt-from", "list", "--prompt-length", "4", "-n", "20"];
    assert!(generate(&place, &names(""), &long).contains("mari"));

    place.write("unknown", "XYZ 123");
    let refused = ["generate", "text.charlet", "--prompt-from", "unknown"];
    place.fail_with(&refused, &["--prompt-from", "'X'"]);
    place.fail_with(
        &["generate", "text.charlet", "--prompt-from", "missing"],
        &["missing"],
    );
}

#[test]
fn a_saved_state_goes_on_as_if_nothing_had_been() {
    let place = with_text_model();
    for model in ["text.charlet", &names(""), &names("-i4")] {
        let options =
            |more: &[&'static str]| [&["--temperature", "1.1", "-n", "1"][..], more].concat();
        let whole = generate(&place, model, &options(&["--length", "200"]));
        let first = generate(
            &place,
            model,
            &options(&["--length", "2", "--state-out", "state"]),
        );
        // Twice from the same state: the second time it is replaced as well.
        for _ in 0..2 {
            let second = [
                "generate",
                model,
                "--temperature",
                "1.1",
                "--state-in",
                "state",
            ];
            let second = place.succeed(&[&second[..], &["--length", "198"]].concat());
            assert_eq!(
                first.trim_end_matches('\n').to_owned() + &second,
                whole,
                "{model}"
            );
        }
        let reseeded = ["--length", "198", "--state-in", "state"];
        let reseeded = generate(&place, model, &options(&reseeded));
        assert!(place.path("state").exists() && !reseeded.is_empty());
    }
}

#[test]
fn behind_the_end_of_a_line_the_next_one_starts() {
    let place = Place::new();
    let model = names("-i8");
    let lines = generate(&place, &model, &["-n", "3"]);
    let mut made = generate(&place, &model, &["--state-out", "state"]);
    for _ in 1..3 {
        made += &place.succeed(&[
            "generate",
            &model,
            "--state-in",
            "state",
            "--state-out",
            "state",
        ]);
    }
    assert_eq!(made, lines);
}

#[test]
fn a_state_of_another_model_and_files_that_are_none_are_refused() {
    let place = with_text_model();
    generate(&place, &names(""), &["--state-out", "state"]);
    let refuse = |model: &str, file: &str, words: &[&str]| {
        place.fail_with(&["generate", model, "--state-in", file], words);
    };
    refuse("text.charlet", "state", &["state", "another model"]);
    refuse(&names("-i8"), "state", &["another model", "SHA-256"]);
    refuse(&names(""), "missing", &["missing", "No such file"]);
    place.write("none", "{}");
    refuse(&names(""), "none", &["none", "--state-out"]);
    let mut saved: Value = serde_json::from_slice(&fs::read(place.path("state")).unwrap()).unwrap();
    saved["charlet_state"] = 2.into();
    place.write("newer", saved.to_string());
    refuse(&names(""), "newer", &["version 2"]);
    saved["charlet_state"] = 1.into();
    saved["token"] = 27.into();
    place.write("damaged", saved.to_string());
    refuse(&names(""), "damaged", &["damaged"]);
    place.fail_with(
        &["generate", &names(""), "-n", "2", "--state-out", "two"],
        &["--state-out", "-n"],
    );
}

/// Probabilities by softmax in double precision, from the runtime's logits.
fn softmax(logits: &Logits<'_>) -> Vec<f64> {
    let weights: Vec<f64> = logits.iter().map(|logit| f64::from(logit).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[test]
fn the_next_characters_have_the_probabilities_of_the_runtimes_logits() {
    let place = Place::new();
    for precision in ["", "-i8", "-i4"] {
        let path = names(precision);
        let bytes = fs::read(&path).unwrap();
        let model = Model::from_bytes(&bytes).unwrap();
        let (mut state, mut workspace) = memory(&model);
        let vocab = model.vocab();
        for char in [vocab.start(), vocab.token('m').unwrap()] {
            model.step(char, &mut state, &mut workspace).unwrap();
        }
        let last = vocab.token('a').unwrap();
        let expected = softmax(&model.step(last, &mut state, &mut workspace).unwrap());

        let printed = generate(&place, &path, &["--prompt", "ma", "--top", "99", "--json"]);
        let top: Value = serde_json::from_str(&printed).unwrap();
        let next = top["next"].as_array().unwrap();
        assert_eq!((next.len(), top["others"].as_f64()), (27, Some(0.0)));
        let probability = |at: usize| next[at]["probability"].as_f64().unwrap();
        let sum: f64 = (0..27).map(probability).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{precision}: {sum}");
        assert!((1..27).all(|at| probability(at - 1) >= probability(at)));
        for (at, next) in next.iter().enumerate() {
            let token = match next["char"].as_str() {
                Some(char) => vocab.token(char.parse().unwrap()).unwrap(),
                None => {
                    assert_eq!(next["name"], "end");
                    vocab.end().unwrap()
                }
            };
            let what = format!("{precision} {}", next["name"]);
            let tolerance = if precision.is_empty() {
                PROBABILITY
            } else {
                FIXED_PROBABILITY
            };
            tolerance.check(&what, probability(at), expected[token.index()]);
        }
    }
}

/// What is shown is what is drawn: with the sampler's own limits, in its own arithmetic.
#[test]
fn the_shown_probabilities_are_those_of_the_draw() {
    let bytes = fs::read(names("-i8")).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    let sampler = charlet::Sampler::with_temperature(0.7).unwrap();
    let sampler = sampler.top_k(5).unwrap().top_p(0.9).unwrap();
    let mut text_model = TextModel::new(&model);
    let shown = text_model.probabilities(sampler, "ma").unwrap();
    let mut counts = vec![0u32; shown.len()];
    let mut rng = charlet::Rng::from_seed(3);
    const DRAWS: u32 = 20_000;
    for _ in 0..DRAWS {
        let drawn = text_model.generate(sampler, &mut rng, "ma").unwrap().next();
        let end = model.vocab().end().unwrap();
        let token = drawn.map_or(end, |char| model.vocab().token(char).unwrap());
        counts[token.index()] += 1;
    }
    assert!((2..=5).contains(&shown.iter().filter(|&&share| share > 0.0).count()));
    for (token, (&share, &count)) in (0..).map(Token).zip(shown.iter().zip(&counts)) {
        let drawn = f64::from(count) / f64::from(DRAWS);
        assert!(
            (drawn - f64::from(share)).abs() < 0.015,
            "{token:?}: {drawn}, {share}"
        );
        assert!(share > 0.0 || count == 0, "{token:?}");
    }
    let greedy = text_model
        .probabilities(charlet::Sampler::argmax(), "ma")
        .unwrap();
    assert_eq!(greedy.iter().sum::<f32>(), 1.0);
    assert!(greedy.iter().all(|&share| share == 0.0 || share == 1.0));
}

#[test]
fn the_next_characters_are_plain_in_a_pipe_and_marks_are_named() {
    let place = with_text_model();
    let model = names("");
    let top = generate(&place, &model, &["--prompt", "maria", "--top"]);
    assert_eq!(top.lines().count(), 11, "{top}");
    assert!(top.lines().any(|line| line.starts_with("end ")), "{top}");
    assert!(top.lines().all(|line| line.contains(" %")));
    assert!(top.ends_with(" others\n") && !top.contains(['\x1b', '█']));
    let three = generate(&place, &model, &["--top", "3", "--temperature", "0.5,2"]);
    assert!(three.starts_with("--- temperature 0.5\n"), "{three}");
    assert!(three.contains("\n\n--- temperature 2\n"), "{three}");
    let text = generate(&place, "text.charlet", &["--prompt", "ab", "--top", "9"]);
    assert!(text.contains("space") && text.contains("newline"), "{text}");
    let greedy = generate(&place, &model, &["--argmax", "--top"]);
    assert!(greedy.ends_with("100.00 %\n"), "{greedy}");
    assert_eq!(greedy.lines().count(), 1);
    place.fail_with(&["generate", &model, "--prompt", "?", "--top"], &["'?'"]);
    place.fail_with(&["generate", &model, "--top", "0"], &["--top"]);
}

/// Lines of a's and b's; the mark at their end has this logit.
fn letters(end: f32) -> Vec<u8> {
    model_of(&[0.0, 0.0, end], Precision::F32)
}

#[test]
fn a_line_that_was_cut_off_is_said_to_be() {
    let place = Place::new();
    place.write("endless.charlet", letters(-30.0));
    place.write("short.charlet", letters(0.0));
    let run = |model: &str, options: &[&str]| {
        let output = place.run(&[&["generate", model, "-n", "3"][..], options].concat());
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        (text, String::from_utf8(output.stderr).unwrap())
    };
    let (text, note) = run("endless.charlet", &[]);
    assert!(text.lines().all(|line| line.len() == 1000) && !text.contains('…'));
    assert!(
        note.contains("3 lines were cut off after 1000 characters; --length"),
        "{note}"
    );
    // The user knows of a limit that the user sets.
    let (text, note) = run("endless.charlet", &["--length", "70"]);
    assert!(text.lines().all(|line| line.len() == 70));
    assert_eq!(note, "");
    assert_eq!(run("endless.charlet", &["--until", "ab"]).1, "");
    assert_eq!(run("short.charlet", &[]).1, "");
}

#[test]
fn known_lines_are_left_out() {
    let place = Place::new();
    let model = names("");
    let all = generate(&place, &model, &["-n", "200"]);
    let lines: Vec<&str> = all.lines().collect();
    let known = [lines[0], lines[2], lines[3], "zzz"].join("\r\n");
    place.write("known", known);
    let new: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| ![lines[0], lines[2], lines[3]].contains(line))
        .collect();
    let made = generate(&place, &model, &["--new", "known", "-n", "150"]);
    assert_eq!(made.lines().collect::<Vec<_>>(), new[..150]);
    // Prompts are part of a line.
    let argmax = ["--argmax", "--prompt", "mar", "-n", "1"];
    let line = generate(&place, &model, &argmax);
    place.write("known", &line);
    let refused = place.run(&[&["generate", &model, "--new", "known"][..], &argmax].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty());
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("0 new lines instead of 1"), "{stderr}");
    // The beginning of a known line is no new line.
    let cut = [&argmax[..], &["--length", "1", "--new", "known"]].concat();
    place.fail_with(
        &[&["generate", &model][..], &cut].concat(),
        &["0 new lines"],
    );
    let place = with_text_model();
    place.write("known", "a\n");
    let refused = ["generate", "text.charlet", "--new", "known"];
    place.fail_with(&refused, &["--new", "running text"]);
}

#[test]
fn what_runs_out_of_new_lines_gives_those_that_there_are() {
    let place = Place::new();
    // The first temperature makes one line only.
    place.write("m.charlet", model_of(&[1.0, 0.0, 0.5], Precision::F32));
    place.write("known", "a".repeat(1000));
    let output = place.run(&[
        "generate",
        "m.charlet",
        "--seed",
        "1",
        "-n",
        "2",
        "--new",
        "known",
        "--temperature",
        "0.001,1",
    ]);
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stdout.starts_with("--- temperature 0.001\n\n--- temperature 1\n"),
        "{stdout}"
    );
    assert_eq!(stdout.lines().count(), 5, "{stdout}");
}

#[test]
fn a_prompt_takes_escapes_or_comes_from_a_file() {
    let place = with_text_model();
    let text = |options: &[&str]| generate(&place, "text.charlet", options);
    assert_eq!(
        text(&["--prompt", "ab\\nab"]),
        text(&["--prompt", "ab\nab"])
    );
    place.write("prompt", "ab\r\nab\n");
    assert_eq!(
        text(&["--prompt-file", "prompt"]),
        text(&["--prompt", "ab\nab\n"])
    );
    place.fail_with(
        &["generate", "text.charlet", "--prompt", "a\\x"],
        &["a\\\\x", "'\\\\'"],
    );
    place.write("line", "mar\n");
    let lines = generate(&place, &names(""), &["--prompt-file", "line"]);
    assert_eq!(lines, generate(&place, &names(""), &["--prompt", "mar"]));
    let top = ["--top", "3", "--prompt-file", "line"];
    assert_eq!(
        generate(&place, &names(""), &top),
        generate(&place, &names(""), &["--top", "3", "--prompt", "mar"])
    );
    place.fail_with(
        &["generate", "text.charlet", "--prompt-file", "missing"],
        &["missing", "No such file"],
    );
}

/// Lines longer than 64 characters, in which each character tells the next.
#[test]
fn long_lines_are_made_whole_and_known_again() {
    let place = Place::new();
    let lines: [String; 2] = ['!', 'à'].map(|first| (first..).take(90).collect());
    let list = place.write("long.txt", lines.join("\n"));
    let run = [
        "train",
        &list,
        "--val",
        &list,
        "--epochs",
        "120",
        "--batch",
        "2",
        "--lr",
        "0.02",
        "--hidden",
        "48",
        "--dropout",
        "0",
        "--weight-dropout",
        "0",
        "--embedding-dropout",
        "0",
        "--sample-every",
        "120",
        "--out",
        "run",
    ];
    let printed = place.succeed(&run);
    let new = printed
        .lines()
        .find_map(|line| line.strip_prefix("new       "));
    let new: usize = new.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(new < 80, "{printed}");
    let made = generate(
        &place,
        "run/long.charlet",
        &["-n", "20", "--temperature", "0.1"],
    );
    let is_copy = |line: &&str| lines.contains(&(*line).to_owned());
    assert!(made.lines().filter(is_copy).count() > 15, "{made}");
}
