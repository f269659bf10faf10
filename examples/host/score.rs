//! Sorts words by how much they look like names: `cargo run -p charlet --example score -- anna xqzt`.

use charlet::{Error, Model, Scorer, State, Workspace};

static MODEL: &[u8] = include_bytes!("../../models/names/names.charlet");

fn main() -> Result<(), Error> {
    let model = Model::from_bytes(MODEL)?;
    // On the desktop the memory may be allocated, and serve any model.
    let mut state = State::from_words(vec![0; model.sizes().state]);
    let mut workspace = Workspace::from_words(vec![0; model.sizes().workspace]);
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() {
        words = ["maria", "mairia", "aaaaaa", "xqzt"]
            .map(String::from)
            .into();
    }
    let mut scores = Vec::new();
    for word in words {
        state.reset();
        match Scorer::new(&model, &mut state, &mut workspace)?.text(&word) {
            // Per character, so that long words are not at a disadvantage.
            Ok(nats) => scores.push((-nats / (word.chars().count() + 1) as f32, word)),
            Err(error) => eprintln!("{word}: {error}"),
        }
    }
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (nats, word) in scores {
        println!("{nats:6.2} nats/char  {word}");
    }
    Ok(())
}
