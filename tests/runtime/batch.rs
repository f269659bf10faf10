//! Sessions that take their steps together get what each gets alone, to the bit.

use charlet::format::{Input, Precision, WeightBits};
use charlet::{Backend, Batch, BoxedSession, Error, Model, Rng, Sampler, Session, Token};
use charlet_trainer::export::form::Form;
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::shape::Shape;
use proptest::prelude::*;

use crate::support::{alphabet, network, repository, with_backend};

/// Every kind of weights and inputs.
fn forms() -> Vec<Form> {
    let mut forms = vec![Form::from(Precision::F32)];
    for (precision, head_bits) in [
        (Precision::I8, WeightBits::Eight),
        (Precision::I4, WeightBits::Eight),
        (Precision::I4, WeightBits::Four),
    ] {
        forms.extend([Input::Table, Input::Embedding].map(|input| Form {
            precision,
            input,
            head_bits,
        }));
    }
    forms
}

/// Lets sessions take steps together, of which each step leaves out some, and compares each with one that is
/// alone. Texts end now and then, and sessions change their order.
fn compare(model: &Model<'_>, count: usize, steps: usize, seed: u64) {
    let mut rng = Rng::from_seed(seed);
    let tokens = model.vocab().size() as u32;
    let mut together = vec![Session::boxed(model); count];
    let mut alone = together.clone();
    for step in 0..steps {
        if count > 0 {
            let (a, b) = (rng.next_u32() as usize % count, step % count);
            together.swap(a, b);
            alone.swap(a, b);
        }
        let mut places = Vec::new();
        let mut taking: Vec<&mut BoxedSession<'_>> = Vec::new();
        for (place, session) in together.iter_mut().enumerate() {
            if !rng.next_u32().is_multiple_of(4) {
                places.push(place);
                taking.push(session);
            }
        }
        let next: Vec<Option<Token>> = places
            .iter()
            .map(|_| {
                (!rng.next_u32().is_multiple_of(8)).then(|| Token((rng.next_u32() % tokens) as u16))
            })
            .collect();
        let mut found = Vec::new();
        Batch::new(&mut taking).unwrap().step(|at, logits| {
            assert_eq!(at, found.len());
            found.push(logits.as_words().to_vec());
            next[at]
        });
        assert_eq!(found.len(), places.len());
        for ((&place, found), next) in places.iter().zip(found).zip(next) {
            let session = &mut alone[place];
            let input = session.next_input();
            let logits = session.feed(input).unwrap().as_words().to_vec();
            assert_eq!(found, logits, "logits of session {place}, step {step}");
            match next {
                Some(token) => session.set_next(token).unwrap(),
                None => session.start_text(),
            }
        }
        for (place, (together, alone)) in together.iter().zip(&alone).enumerate() {
            assert_eq!(
                (together.state(), together.next_input()),
                (alone.state(), alone.next_input()),
                "session {place}, step {step}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sessions_get_together_what_each_gets_alone(
        vocab_size in 2usize..70,
        embedding_size in 1usize..10,
        hidden_size in prop_oneof![1usize..40, Just(64), Just(127), Just(128), Just(129), 130usize..300],
        num_layers in 1usize..4,
        form in proptest::sample::select(forms()),
        count in 0usize..12,
        seed in any::<u64>(),
    ) {
        let shape = Shape { vocab_size, embedding_size, hidden_size, num_layers };
        let file = model_file(&network(shape), &alphabet(vocab_size), form).unwrap();
        let model = Model::from_bytes(&file).unwrap();
        for &backend in Backend::available() {
            with_backend(backend, || compare(&model, count, 10, seed));
        }
    }
}

/// Wide layers, whose blocks don't fit the first cache; and models as they are shipped, one of them with a mark
/// for unknown characters.
#[test]
fn large_and_shipped_models_read_together_as_alone() {
    let shape = Shape {
        vocab_size: 42,
        embedding_size: 8,
        hidden_size: 700,
        num_layers: 2,
    };
    for form in forms() {
        let file = model_file(&network(shape), &alphabet(42), form).unwrap();
        compare(&Model::from_bytes(&file).unwrap(), 5, 3, 1);
    }
    for name in ["names/names", "names/names-i8", "messages/messages"] {
        let file = std::fs::read(repository(&format!("models/{name}.charlet"))).unwrap();
        compare(&Model::from_bytes(&file).unwrap(), 9, 20, 2);
    }
}

#[test]
fn characters_made_together_are_those_made_alone() {
    for name in ["names/names-i4", "names/names", "messages/messages-64k"] {
        let file = std::fs::read(repository(&format!("models/{name}.charlet"))).unwrap();
        let model = Model::from_bytes(&file).unwrap();
        let sampler = Sampler::with_temperature(1.2).unwrap().top_p(0.9).unwrap();
        let rngs = [1, 2, 3, 4, 5].map(Rng::from_seed);
        let mut made = vec![Vec::new(); rngs.len()];
        let mut sessions = vec![Session::boxed(&model); rngs.len()];
        let mut batch = Batch::new(&mut sessions).unwrap();
        let mut drawn = rngs.clone();
        for _ in 0..60 {
            let random = |at: usize| drawn[at].next_u32();
            batch.next_chars(sampler, random, |at, char| made[at].push(char));
        }
        for (mut rng, made) in rngs.into_iter().zip(made) {
            let mut session = Session::boxed(&model);
            let expected: Vec<Option<char>> = (0..60)
                .map(|_| session.next_char(sampler, || rng.next_u32()))
                .collect();
            assert_eq!(made, expected, "{name}");
        }
    }
}

#[test]
fn a_batch_has_sessions_of_one_model_and_may_have_none() {
    let read =
        |name: &str| std::fs::read(repository(&format!("models/names/{name}.charlet"))).unwrap();
    let files = ["names-i8", "names-i4"].map(read);
    let [first, second] = [&files[0], &files[1]].map(|file| Model::from_bytes(file).unwrap());
    let same = Model::from_bytes(&files[0]).unwrap();
    let mut sessions = [&first, &same, &second].map(Session::boxed);
    assert!(Batch::new(&mut sessions[..2]).is_ok());
    let error = Batch::new(&mut sessions).map(|_| ()).unwrap_err();
    let (expected, found) = (first.checksum(), second.checksum());
    assert_eq!(error, Error::OtherModel { expected, found });
    Batch::new(&mut sessions[..0])
        .unwrap()
        .step(|_, _| unreachable!("nobody takes a step"));
    // A token that the vocabulary lacks ends the text.
    let mut session = Session::boxed(&first);
    Batch::new(std::slice::from_mut(&mut session))
        .unwrap()
        .step(|_, _| Some(Token(u16::MAX)));
    assert_eq!(session.state(), Session::boxed(&first).state());
    assert_eq!(session.next_input(), first.vocab().start());
}
