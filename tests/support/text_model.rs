//! A small model of running text, trained once for all tests.

use std::fs;
use std::sync::OnceLock;

use crate::support::place::Place;

/// What it learns: words of four letters in an order that is not quite random, and an umlaut.
pub fn text() -> String {
    let words = ["ab", "cab", "bad", "cd", "dab", "ü", "abba"];
    let mut text = String::new();
    let mut at = 1usize;
    for number in 1..1500 {
        at = (at * 5 + 3 + number / 7) % 49;
        text.push_str(words[at % 7]);
        text.push(if number % 9 == 0 { '\n' } else { ' ' });
        if number % 36 == 0 {
            text.push('\n');
        }
    }
    text
}

/// The model's file.
pub fn text_model() -> &'static [u8] {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let place = Place::new();
        place.write("text", text());
        let options = ["--mode", "text", "--layers", "1", "--hidden", "24"];
        let run = ["--epochs", "2", "--sample-every", "1000", "--out", "run"];
        place.succeed(&[&["train", "text"][..], &options, &run].concat());
        fs::read(place.path("run/text.charlet")).unwrap()
    })
}
