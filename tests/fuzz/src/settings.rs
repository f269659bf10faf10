use charlet_trainer::config::{Config, Mode};

use super::file::with_file;

/// Reads settings; those that a run would begin with must read back as they were.
pub fn check(bytes: &[u8]) {
    let Ok(config) = with_file(bytes, |path| Config::from_file(path, None)) else {
        return;
    };
    if config.check().is_err() {
        return;
    }
    let written = config.to_toml().expect("settings that were read");
    let again = with_file(written.as_bytes(), |path| Config::from_file(path, None));
    assert_eq!(again.expect("settings that were written"), config);
}

/// What to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let whole =
        [Mode::Lines, Mode::Text].map(|mode| Config::defaults(mode).to_toml().expect("defaults"));
    let short = [
        "data.mode = 'text'\nnetwork.hidden_size = 9\n",
        "optimizer.kind = 'sgd'\n[schedule]\nkind = 'plateau'\nepochs = 3\nfactor = 0.5\n",
        "[network]\nrecurrent_dropout = 0.25\n[training]\nquantize = 'i4'\nema = 0.9\nseed = 0x7fff\n",
    ];
    let texts = whole.into_iter().chain(short.map(str::to_owned));
    texts.map(String::into_bytes).collect()
}
