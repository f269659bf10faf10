//! Prints logits, h and c after each token of standard input, as JSON, for those who compare networks. The token that
//! starts a line begins anew:
//! `echo 55 0 12 | cargo run -p charlet --features f32 --example steps -- models/names/names.charlet`.

use std::error::Error;
use std::io::{Write, read_to_string, stdin, stdout};

use charlet::{Model, State, Token, Workspace};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a model")?;
    let bytes = std::fs::read(path)?;
    let model = Model::from_bytes(&bytes)?;
    let mut state = State::from_words(vec![0; model.sizes().state]);
    let mut workspace = Workspace::from_words(vec![0; model.sizes().workspace]);
    let mut out = stdout().lock();
    for token in read_to_string(stdin())?.split_whitespace() {
        let token = Token(token.parse()?);
        if token == model.vocab().start() && model.vocab().end().is_some() {
            state.as_words_mut().fill(0);
        }
        let logits = model.step(token, &mut state, &mut workspace)?;
        let logits: Vec<f32> = logits.iter().collect();
        let (mut h, mut c) = (Vec::new(), Vec::new());
        for layer in 0..model.header().num_layers.into() {
            h.extend(model.hidden_state(&state, layer)?);
            c.extend(model.cell_state(&state, layer)?);
        }
        writeln!(out, "{{\"logits\":{logits:?},\"h\":{h:?},\"c\":{c:?}}}")?;
    }
    Ok(())
}
