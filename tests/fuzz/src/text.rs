use charlet_trainer::config::Mode;
use charlet_trainer::data::alphabet::Alphabet;
use charlet_trainer::data::source::Source;

/// Cleans a text, and makes its alphabet.
pub fn check(bytes: &[u8]) {
    let Ok(mut source) = Source::from_bytes(bytes.to_vec()) else {
        return;
    };
    assert!(!source.text.contains('\r'), "a carriage return is left");
    source.make_lowercase();
    for (mode, texts) in [
        (Mode::Text, vec![source.text.as_str()]),
        (Mode::Lines, source.lines()),
    ] {
        let Ok(alphabet) = Alphabet::of(texts, mode) else {
            continue;
        };
        alphabet.vocab().expect("an alphabet that was just made");
    }
}

/// What to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "anna\nbert\n",
        "\u{feff}A line.\r\nAnother one.\rÀ third\n\n",
        "日本語\tテキスト 🦀\u{0}",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
