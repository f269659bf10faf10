//! States: forked, saved, restored, shared.

use charlet::{Error, Generator, Model, Sampler, Scorer, State, Token, Workspace};
use charlet_trainer::inference::text_model::text_rng;

use crate::support::{memory, small_model};

/// The bits of the logits after each token.
fn feed(
    model: &Model<'_>,
    state: &mut State<Vec<u32>>,
    workspace: &mut Workspace<Vec<u32>>,
    tokens: &[u16],
) -> Vec<u32> {
    let mut bits = Vec::new();
    for &token in tokens {
        let logits = model.step(Token(token), state, workspace).unwrap();
        bits.extend(logits.iter().map(f32::to_bits));
    }
    bits
}

#[test]
fn many_states_share_a_model_and_a_workspace() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut first, mut workspace) = memory(&model);
    let (mut second, _) = memory(&model);
    let alone = {
        let (mut state, mut workspace) = memory(&model);
        feed(&model, &mut state, &mut workspace, &[0, 1, 2])
    };
    let mut interleaved = Vec::new();
    for token in [0, 1, 2] {
        interleaved.extend(feed(&model, &mut first, &mut workspace, &[token]));
        feed(&model, &mut second, &mut workspace, &[3 - token, token]);
    }
    assert_eq!(alone, interleaved);
    assert_ne!(first, second);
}

#[test]
fn forked_saved_and_restored_states_go_on_the_same() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    feed(&model, &mut state, &mut workspace, &[0, 1, 2]);
    let mut fork = state.clone();
    let mut restored = State::from_words(state.as_words().to_vec());
    let expected = feed(&model, &mut state, &mut workspace, &[3, 4, 0]);
    assert_eq!(
        feed(&model, &mut fork, &mut workspace, &[3, 4, 0]),
        expected
    );
    assert_eq!(
        feed(&model, &mut restored, &mut workspace, &[3, 4, 0]),
        expected
    );
    // By their numbers as well, and nothing but the caller resets them.
    let (mut copy, _) = memory(&model);
    for layer in 0..2 {
        let h: Vec<f32> = model.h(&state, layer).unwrap().collect();
        let c: Vec<f32> = model.c(&state, layer).unwrap().collect();
        assert!(h.iter().chain(&c).all(|value| *value != 0.0));
        model.set_layer(&mut copy, layer, &h, &c).unwrap();
    }
    assert_eq!(copy, state);
    state.reset();
    assert_eq!(state, memory(&model).0);
}

#[test]
fn a_model_reads_its_weights_at_any_alignment() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let expected = feed(&model, &mut state, &mut workspace, &[0, 1, 2, 3, 4]);
    for shift in 1..16 {
        let shifted = [&vec![0; shift][..], &bytes].concat();
        let model = Model::from_bytes(&shifted[shift..]).unwrap();
        let (mut state, mut workspace) = memory(&model);
        assert_eq!(
            feed(&model, &mut state, &mut workspace, &[0, 1, 2, 3, 4]),
            expected
        );
    }
}

#[test]
fn memory_of_another_size_is_refused_and_left_alone() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (state_len, workspace_len) = (model.sizes().state, model.sizes().workspace);
    assert_eq!((state_len, workspace_len), (12, 8));
    let (_, mut workspace) = memory(&model);
    for actual in [0, 11, 13] {
        let mut state = State::from_words(vec![7; actual]);
        let error = Error::StateSize {
            expected: 12,
            actual,
        };
        assert_eq!(
            model.step(Token(0), &mut state, &mut workspace).err(),
            Some(error)
        );
        assert_eq!(model.h(&state, 0).err(), Some(error));
        assert_eq!(
            model.set_layer(&mut state, 0, &[0.0; 3], &[0.0; 3]),
            Err(error)
        );
        assert_eq!(
            Scorer::new(&model, &mut state, &mut workspace).err(),
            Some(error)
        );
        let generator = Generator::new(
            &model,
            &mut state,
            &mut workspace,
            Sampler::argmax(),
            text_rng(0),
        );
        assert_eq!(generator.err(), Some(error));
        assert_eq!(state.as_words(), vec![7; actual]);
    }
    let (mut state, _) = memory(&model);
    let mut small = Workspace::from_words(vec![0; 7]);
    let error = Error::WorkspaceSize {
        expected: 8,
        actual: 7,
    };
    assert_eq!(
        model.step(Token(0), &mut state, &mut small).err(),
        Some(error)
    );
    let mut large = Workspace::from_words(vec![0; 99]);
    assert_eq!(
        model.step(Token(0), &mut state, &mut large).unwrap().len(),
        5
    );
}

#[test]
fn unknown_tokens_layers_and_lengths_are_refused() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let error = model.step(Token(5), &mut state, &mut workspace).err();
    assert_eq!(error, Some(Error::UnknownToken(5)));
    assert_eq!(model.c(&state, 2).err(), Some(Error::UnknownLayer(2)));
    let error = Error::StateSize {
        expected: 3,
        actual: 4,
    };
    assert_eq!(
        model.set_layer(&mut state, 0, &[0.0; 3], &[0.0; 4]),
        Err(error)
    );
    assert_eq!(state, memory(&model).0);
}

#[test]
fn an_unknown_character_in_a_prime_is_named_before_anything_is_fed() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let mut generator = Generator::new(
        &model,
        &mut state,
        &mut workspace,
        Sampler::argmax(),
        text_rng(0),
    )
    .unwrap();
    assert_eq!(generator.prime("abxc"), Err(Error::UnknownChar('x')));
    assert_eq!(generator.pending(), Some(Token(4)));
    assert_eq!(
        generator.start_from(Token(9)).err(),
        Some(Error::UnknownToken(9))
    );
    assert_eq!(state, memory(&model).0);
}

/// A prime and a start token put the generator where the tokens themselves would.
#[test]
fn primed_and_resumed_texts_continue_alike() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let text = |generator: Generator<'_, _>| -> String { generator.take(9).collect() };
    let mut primed = Generator::new(
        &model,
        &mut state,
        &mut workspace,
        Sampler::argmax(),
        text_rng(0),
    )
    .unwrap();
    primed.prime("abc").unwrap();
    let expected = text(primed);
    state.reset();
    feed(&model, &mut state, &mut workspace, &[4, 0, 1]);
    let resumed = Generator::new(
        &model,
        &mut state,
        &mut workspace,
        Sampler::argmax(),
        text_rng(0),
    )
    .unwrap();
    assert_eq!(text(resumed.start_from(Token(2)).unwrap()), expected);
}

/// A text's score is the sum of its characters' log-probabilities, which are those of a softmax.
#[test]
fn scores_are_sums_of_log_probabilities() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let mut expected = 0.0;
    for (fed, next) in [(4u16, 1usize), (1, 0), (0, 3), (3, 4)] {
        let logits = model.step(Token(fed), &mut state, &mut workspace).unwrap();
        let wide: Vec<f64> = logits.iter().map(f64::from).collect();
        let total: f64 = wide.iter().map(|logit| logit.exp()).sum();
        expected += wide[next] - total.ln();
        assert_eq!(logits.log_prob(Token(5)), None);
    }
    state.reset();
    let score = Scorer::new(&model, &mut state, &mut workspace)
        .unwrap()
        .text("bad")
        .unwrap();
    crate::support::tolerance::BETWEEN_OURS.check("score", score.into(), expected);
    let mut scorer = Scorer::new(&model, &mut state, &mut workspace).unwrap();
    assert_eq!(scorer.char('x'), Err(Error::UnknownChar('x')));
}

#[test]
fn a_text_scored_in_pieces_has_the_scores_of_the_whole() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let (mut state, mut workspace) = memory(&model);
    let mut scorer = Scorer::new(&model, &mut state, &mut workspace).unwrap();
    let whole = ['b', 'a', 'd', 'c'].map(|char| scorer.char(char).unwrap());
    state.reset();
    let mut pending = model.vocab().start();
    let mut pieces = Vec::new();
    for piece in ["ba", "", "dc"] {
        let scorer = Scorer::new(&model, &mut state, &mut workspace).unwrap();
        let mut scorer = scorer.start_from(pending).unwrap();
        pieces.extend(piece.chars().map(|char| scorer.char(char).unwrap()));
        pending = scorer.pending();
    }
    assert_eq!(pieces, whole);
    let scorer = Scorer::new(&model, &mut state, &mut workspace).unwrap();
    let refused = scorer.start_from(Token(5)).err();
    assert_eq!(refused, Some(Error::UnknownToken(5)));
}
