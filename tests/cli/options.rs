//! What holds for the options of all commands.

use crate::support::place::Place;
use crate::support::repository;

/// The commands with options, and what each needs before them.
const COMMANDS: [&[&str]; 9] = [
    &["train"],
    &["generate", "MODEL"],
    &["eval", "MODEL", "file"],
    &["score", "MODEL", "file"],
    &["compress", "MODEL", "file"],
    &["decompress", "MODEL", "file"],
    &["quantize", "checkpoint", "--to", "i8", "-o", "out"],
    &["bench", "step", "MODEL"],
    &["bench", "train"],
];
/// The names of values that are numbers.
const NUMBERS: &str = "N K P T RATE SHARE FACTOR NORM DECAY SECONDS BITS BYTES";

/// The options that a help shows with a number as their value.
fn numeric(help: &str) -> Vec<String> {
    let words: Vec<&str> = help.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| {
        let value = pair[1]
            .trim_start_matches(['<', '['])
            .trim_end_matches(['>', ']']);
        let is_value = pair[1].starts_with(['<', '[']) && pair[1].ends_with(['>', ']']);
        pair[0].starts_with("--") && is_value && NUMBERS.split(' ').any(|name| name == value)
    });
    pairs.map(|pair| pair[0].to_owned()).collect()
}

#[test]
fn a_negative_number_gets_an_answer_about_its_option() {
    let place = Place::new();
    place.write("file", "anna\n");
    let model = repository("models/names/names.charlet");
    let mut count = 0;
    for command in COMMANDS {
        let (names, more) = match command {
            ["bench", ..] => command.split_at(2),
            _ => command.split_at(1),
        };
        let help = place.succeed(&[names, &["--help"]].concat());
        for option in numeric(&help) {
            let mut arguments = [names, more].concat();
            arguments.extend([option.as_str(), "-1"]);
            for argument in &mut arguments {
                if *argument == "MODEL" {
                    *argument = model.to_str().unwrap();
                }
            }
            let output = place.run(&arguments);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(
                !stderr.contains("unexpected argument"),
                "{arguments:?}: {stderr}"
            );
            // Bits below 0 are a threshold like others.
            let is_fine = option == "--threshold";
            assert_eq!(output.status.success(), is_fine, "{arguments:?}: {stderr}");
            let is_about = stderr.contains("-1") || stderr.contains(&option);
            assert!(is_fine || is_about, "{arguments:?}: {stderr}");
            count += 1;
        }
    }
    assert!(count > 40, "{count} options");
    place.fail_with(&["train", "file", "--lr", "-1"], &["learning rate", "-1"]);
    place.fail_with(&["train", "file", "--lr", "-1e-3"], &["learning rate"]);
    assert!(!place.path("charlet-out").exists());
}
