//! Sorts words by how much they look like names: `cargo run -p charlet --example score -- anna xqzt`.

charlet::model!(NAMES, "../../models/names/names-i8.charlet");

fn main() {
    let mut session = NAMES.session();
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() {
        words = ["maria", "mairia", "aaaaaa", "xqzt"]
            .map(String::from)
            .into();
    }
    let mut scores = Vec::new();
    for word in words {
        match session.score_text(&word) {
            // Per character, so that long words are not at a disadvantage.
            Ok(nats) => scores.push((-nats / (word.chars().count() + 1) as f32, word)),
            Err(error) => eprintln!("{word}: {error}"),
        }
    }
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (nats, word) in scores {
        println!("{nats:6.2} nats/char  {word}");
    }
}
