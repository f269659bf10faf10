use charlet::{Model, Rng, Sampler, Session};
use charlet_trainer::inference::saved_state::Saved;

use super::file::with_file;
use super::model;

/// Reads a saved text of a small model, and goes on with it.
pub fn check(bytes: &[u8]) {
    thread_local! {
        static MODEL: Vec<u8> = file();
    }
    MODEL.with(|file| {
        let Ok(saved) = with_file(bytes, |path| Saved::read(path, file)) else {
            return;
        };
        let model = Model::from_bytes(file).expect("a model");
        let mut session = saved.session(&model).expect("a state that was accepted");
        let mut rng = saved.rng();
        let again = Saved::new(file, &session, &rng);
        assert_eq!(
            again.session(&model).expect("the same").state(),
            session.state()
        );
        for _ in 0..4 {
            session.next_char(Sampler::argmax(), || rng.next_u32());
        }
    });
}

/// The model: integers, two layers.
fn file() -> Vec<u8> {
    model::seeds().swap_remove(4)
}

/// What to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let file = file();
    let model = Model::from_bytes(&file).expect("a model");
    let mut session = Session::boxed(&model);
    let mut rng = Rng::from_seed(1);
    let mut seeds = Vec::new();
    for _ in 0..2 {
        let saved = Saved::new(&file, &session, &rng);
        seeds.push(with_file(&[], |path| {
            saved.write(path).expect("a temporary file");
            std::fs::read(path).expect("a temporary file")
        }));
        session.next_char(Sampler::argmax(), || rng.next_u32());
        rng.next_u32();
    }
    seeds
}
