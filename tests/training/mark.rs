//! Rare characters become one mark: in the data, the checkpoint, the model, and in what follows from it.

use std::fs;

use candle_core::Device;
use charlet::Model;
use charlet_trainer::config::Config;
use charlet_trainer::train::checkpoint::Checkpoint;

use crate::support::place::{Place, SHORT, lines};

/// A list with three rare characters, one of them upper case, and a held-out file with one more.
fn rare() -> String {
    lines().repeat(20) + "Xaver\nzoé\nannä\n"
}

fn train(place: &Place, options: &[&str]) -> String {
    place.succeed(&[&["train"][..], options, &SHORT].concat())
}

fn config(place: &Place, run: &str) -> Config {
    Config::from_file(&place.path(&format!("{run}/config.toml")), None).unwrap()
}

/// A model's characters, and its mark.
fn alphabet(place: &Place, model: &str) -> (String, Option<u16>) {
    let bytes = fs::read(place.path(model)).unwrap();
    let vocab = *Model::from_bytes(&bytes).unwrap().vocab();
    let unknown = vocab.unknown().map(|token| token.0);
    (vocab.chars().to_owned(), unknown)
}

#[test]
fn rare_characters_become_one_mark_which_a_run_keeps() {
    let place = Place::new();
    place.write("list.txt", rare());
    place.write("val.txt", "anna\nberta\nÖmma\n");
    let data = ["list.txt", "--val", "val.txt", "--out", "run"];
    let printed = train(&place, &[&data[..], &["--min-count", "3"]].concat());
    assert!(
        printed.contains(
            "characters  11 of 17 kept, 6 rarer than 3 become one mark (5 of 992 characters)"
        ),
        "{printed}"
    );
    assert!(
        printed.contains("an end mark and a mark for others"),
        "{printed}"
    );
    let (chars, unknown) = alphabet(&place, "run/list.charlet");
    let count = chars.chars().count() as u16;
    assert!(
        !chars.contains(['X', 'z', 'é', 'ä', 'Ö']) && chars.contains('a'),
        "{chars}"
    );
    assert_eq!(unknown, Some(count + 1));
    assert_eq!(config(&place, "run").data.min_count, Some(3));

    let model = |run: &str| fs::read(place.path(&format!("{run}/list.charlet"))).unwrap();
    let one = model("run");
    // From its settings the run is the same, and goes on as if it had been longer.
    place.succeed(&["train", "--config", "run/config.toml", "--out", "again"]);
    assert!(model("again") == one);
    place.succeed(&["train", "--resume", "run", "--epochs", "2"]);
    assert_eq!(
        alphabet(&place, "run/list.charlet"),
        (chars.clone(), unknown)
    );
    place.fail_with(
        &[
            "train",
            "--resume",
            "run",
            "--epochs",
            "3",
            "--min-count",
            "2",
        ],
        &["data.min_count = 3"],
    );
    // An integer model has the mark as well.
    place.succeed(&[
        "quantize",
        "run/best.safetensors",
        "--to",
        "i4",
        "-o",
        "i4.charlet",
    ]);
    assert_eq!(alphabet(&place, "i4.charlet"), (chars, unknown));
}

#[test]
fn small_data_and_old_settings_have_no_mark() {
    let place = Place::new();
    place.write("list.txt", rare());
    train(&place, &["list.txt", "--out", "run"]);
    assert_eq!(config(&place, "run").data.min_count, Some(0));
    let (chars, unknown) = alphabet(&place, "run/list.charlet");
    assert!(chars.contains('X') && unknown.is_none());
    assert_eq!(fs::read(place.path("run/list.charlet")).unwrap()[8], 1);
    // As the first versions wrote them.
    let old = fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(old.contains("min_count = 0\n"), "{old}");
    place.write("old.toml", old.replace("min_count = 0\n", ""));
    place.succeed(&["train", "--config", "old.toml", "--out", "again"]);
    let model = |run: &str| fs::read(place.path(&format!("{run}/list.charlet"))).unwrap();
    assert!(model("again") == model("run"));
    let checkpoint = Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu).unwrap();
    let json = serde_json::to_string(&checkpoint.description).unwrap();
    assert!(!json.contains("unknown"), "{json}");
    let old = json.replace("\"min_count\":0,", "");
    assert_ne!(old, json);
    let read: charlet_trainer::train::checkpoint::Description = serde_json::from_str(&old).unwrap();
    assert_eq!(read, checkpoint.description);
}

#[test]
fn a_large_text_has_a_mark_by_default() {
    let place = Place::new();
    // 300,000 characters, so that each has to come twice.
    let mut text = "abc de\n".repeat(42_858);
    text.insert(1_000, 'X');
    text.insert_str(2_000, "YY");
    place.write("text.txt", &text);
    let train = [
        "text.txt", "--mode", "text", "--out", "run", "--batch", "256",
    ];
    let printed = self::train(&place, &train);
    let said = "characters  8 of 9 kept, 1 rarer than 2 becomes one mark (1 of 270,0";
    assert!(printed.contains(said), "{printed}");
    assert_eq!(config(&place, "run").data.min_count, Some(2));
    let (chars, unknown) = alphabet(&place, "run/text.charlet");
    assert_eq!((chars.as_str(), unknown), ("\n Yabcde", Some(8)));
}

#[test]
fn a_count_that_leaves_nothing_is_refused() {
    let place = Place::new();
    let file = place.write("list.txt", lines());
    let with = |count| ["train", &file, "--min-count", count, "--out", "run"].map(str::to_owned);
    let refuse = |count, words: &[&str]| {
        let command = with(count);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        place.fail_with(&command, words);
    };
    refuse("1000", &["less than 1000 times", "smaller --min-count"]);
    refuse("1000000001", &["least count", "at most"]);
    assert!(!place.path("run").exists());
}

/// Pretrained on a large text, fine-tuned on another.
#[test]
fn an_alphabet_with_a_mark_is_taken_over() {
    let place = Place::new();
    place.write("large.txt", rare());
    train(&place, &["large.txt", "--min-count", "3", "--out", "large"]);
    let (chars, _) = alphabet(&place, "large/large.charlet");
    // Fewer of its characters, and others.
    place.write("small.txt", "anna\nemma\nnora\nqm\ndann\nüre\n".repeat(5));
    let from = ["--init-from", "large/best.safetensors"];
    let printed = train(
        &place,
        &[&["small.txt", "--out", "small"][..], &from].concat(),
    );
    assert!(
        printed.contains("2 that the first weights do not know become their mark"),
        "{printed}"
    );
    let tokens = chars.chars().count() + 2;
    let all = format!("{tokens} of {tokens} tokens known; new: none; gone: none");
    assert!(printed.contains(&all), "{printed}");
    let (small, unknown) = alphabet(&place, "small/small.charlet");
    assert_eq!((&small, unknown), (&chars, Some(tokens as u16 - 1)));
    assert_eq!(config(&place, "small").data.min_count, Some(0));

    // The settings make the same run; it goes on without the first weights.
    let model = |run: &str| fs::read(place.path(&format!("{run}/small.charlet"))).unwrap();
    place.succeed(&["train", "--config", "small/config.toml", "--out", "again"]);
    assert!(model("again") == model("small"));
    fs::remove_file(place.path("large/best.safetensors")).unwrap();
    place.succeed(&["train", "--resume", "small", "--epochs", "2"]);
    assert_eq!(
        alphabet(&place, "small/small.charlet"),
        (chars.clone(), unknown)
    );

    // Running text from a list: it needs a line break, and no end mark.
    let from = ["--init-from", "large/last.safetensors"];
    place.write("text.txt", "anna and emma\nnora\n".repeat(20));
    let text = [
        "text.txt",
        "--mode",
        "text",
        "--val-split",
        "0.2",
        "--window",
        "8",
        "--out",
        "text",
    ];
    let printed = train(&place, &[&text[..], &from].concat());
    assert!(
        printed.contains("new: '\\n'; gone: the end mark"),
        "{printed}"
    );
    let (text, unknown) = alphabet(&place, "text/text.charlet");
    assert_eq!(text, format!("\n{chars}"));
    assert!(unknown.is_some());
}

#[test]
fn an_alphabet_that_does_not_suit_is_refused() {
    let place = Place::new();
    place.write("large.txt", rare());
    train(&place, &["large.txt", "--min-count", "3", "--out", "large"]);
    place.write("greek.txt", "αβγ\nβγ\nγδε\nδα\n".repeat(5));
    let from = ["--init-from", "large/best.safetensors", "--out", "other"];
    let greek = [&["train", "greek.txt"][..], &from].concat();
    place.fail_with(&greek, &["0 % of the characters", "--init-from"]);
    let counted = [&["train", "large.txt", "--min-count", "2"][..], &from].concat();
    place.fail_with(
        &counted,
        &["large/best.safetensors", "taken over", "--min-count"],
    );
    assert!(!place.path("other").exists());
}

/// 3,000 characters, as of Chinese, most of which are rare.
#[test]
fn a_large_alphabet_gets_a_small_model() {
    let place = Place::new();
    let mut list = String::new();
    for number in 0u32..3_000 {
        // Two that are frequent, and one of its own.
        let frequent = |at: u32| char::from_u32(0x4e00 + at % 40).unwrap();
        let own = char::from_u32(0x5000 + number).unwrap();
        list.extend([frequent(number * number), frequent(number / 3), own, '\n']);
    }
    place.write("list.txt", list);
    let train = |options: &[&str]| {
        let all = [&["list.txt"][..], options, &["--force", "--out", "run"]].concat();
        self::train(&place, &all);
        let bytes = fs::read(place.path("run/list.charlet")).unwrap();
        let vocab_size = Model::from_bytes(&bytes).unwrap().vocab().size();
        let last = Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu).unwrap();
        (
            bytes.len(),
            vocab_size,
            last.description.progress.validation_loss.unwrap(),
        )
    };
    let (small, vocab_size, loss) = train(&["--min-count", "2"]);
    assert_eq!(vocab_size, 42);
    let (large, all, whole) = train(&["--min-count", "0"]);
    assert_eq!(all, 3_041);
    assert!(10 * small < large, "{small} {large}");
    // It learns that such a character comes, where the other can't learn which.
    assert!(loss < 3.0 && loss < whole - 1.0, "{loss} {whole}");
    // Every text has a price.
    place.write("other.txt", "一丁龜\nabc🦀\n");
    let printed = place.succeed(&["eval", "run/list.charlet", "other.txt", "--json"]);
    assert!(printed.contains("\"unknown\":"), "{printed}");
}
