//! States and sessions: forked, saved, restored, shared.

use charlet::format::{self, Cell, Header, Input, Precision, WeightBits};
use charlet::{
    BoxedSession, Ending, Error, Loader, Model, Rng, Sampler, Session, State, Token, Workspace,
};

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
        let h: Vec<f32> = model.hidden_state(&state, layer).unwrap().collect();
        let c: Vec<f32> = model.cell_state(&state, layer).unwrap().collect();
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
        assert_eq!(model.hidden_state(&state, 0).err(), Some(error));
        assert_eq!(
            model.set_layer(&mut state, 0, &[0.0; 3], &[0.0; 3]),
            Err(error)
        );
        let session = Session::new(&model, state.clone(), workspace.clone());
        assert_eq!(session.err(), Some(error));
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
    assert_eq!(
        model.cell_state(&state, 2).err(),
        Some(Error::UnknownLayer(2))
    );
    let error = Error::BufferLength {
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
fn an_unknown_character_in_a_prompt_is_named_before_anything_is_fed() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let mut session = Session::boxed(&model);
    assert_eq!(session.prompt("abxc"), Err(Error::UnknownChar('x')));
    assert_eq!(session.next_input(), Token(4));
    assert_eq!(session.state().as_words(), memory(&model).0.as_words());
}

/// A prompt, a state with its next input, and a session that was saved all put a session where the
/// tokens themselves would.
#[test]
fn prompted_resumed_restored_and_forked_texts_continue_alike() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let text = |session: &mut BoxedSession<'_>| -> String {
        session.generate(Sampler::argmax(), || 0).take(9).collect()
    };
    let mut prompted = Session::boxed(&model);
    prompted.prompt("abc").unwrap();
    let mut saved = vec![0; prompted.saved_len()];
    prompted.save(&mut saved).unwrap();
    let mut fork = prompted.clone();
    let expected = text(&mut prompted);
    assert_eq!(text(&mut fork), expected);

    let (mut state, mut workspace) = memory(&model);
    feed(&model, &mut state, &mut workspace, &[4, 0, 1]);
    let mut resumed = Session::boxed(&model);
    resumed.resume(state.as_words(), Token(2)).unwrap();
    assert_eq!(text(&mut resumed), expected);

    let mut restored = Session::boxed(&model);
    restored.restore(&saved).unwrap();
    assert_eq!(text(&mut restored), expected);
    // The session of before goes on from wherever it is.
    prompted.restore(&saved).unwrap();
    assert_eq!(text(&mut prompted), expected);
}

#[test]
fn a_saved_session_of_another_model_or_length_is_refused_and_changes_nothing() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let mut session = Session::boxed(&model);
    session.prompt("ab").unwrap();
    let (state, next_input) = (session.state().clone(), session.next_input());
    let mut saved = vec![0; session.saved_len()];
    session.save(&mut saved).unwrap();
    let mut refused = |saved: &[u8]| {
        let error = session.restore(saved).unwrap_err();
        assert_eq!(
            (session.state(), session.next_input()),
            (&state, next_input)
        );
        error
    };
    let expected = saved.len();
    let mut of_other_size = vec![0; expected + 4];
    of_other_size[0] = 1;
    assert!(matches!(refused(&of_other_size), Error::OtherModel { .. }));
    for actual in [0, 4, expected - 1] {
        assert_eq!(
            refused(&saved[..actual]),
            Error::BufferLength { expected, actual }
        );
    }
    let mut other = saved.clone();
    other[0] ^= 1;
    let checksum = model.checksum();
    let found = checksum ^ 1;
    assert_eq!(
        refused(&other),
        Error::OtherModel {
            expected: checksum,
            found
        }
    );
    for token in [5u32, 65_535, 65_536, u32::MAX] {
        let mut damaged = saved.clone();
        damaged[4..8].copy_from_slice(&token.to_le_bytes());
        assert!(
            matches!(refused(&damaged), Error::UnknownToken(_)),
            "{token}"
        );
    }
    assert_eq!(
        session.resume(state.as_words(), Token(9)),
        Err(Error::UnknownToken(9))
    );
    let error = session.save(&mut [0; 3]).unwrap_err();
    assert_eq!(
        error,
        Error::BufferLength {
            expected,
            actual: 3
        }
    );
}

/// What a model ends is followed by a new text; what a limit or a stop character ends can go on.
#[test]
fn texts_follow_each_other_and_go_on_where_they_were_left() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let sampler = Sampler::with_temperature(1.0).unwrap();
    let mut session = Session::boxed(&model);
    let mut rng = Rng::from_seed(3);
    let whole: String = loop {
        let text: String = session.generate(sampler, || rng.next_u32()).collect();
        if text.len() > 5 {
            break text;
        }
    };
    assert_eq!(session.state().as_words(), memory(&model).0.as_words());
    // The same numbers again, with the text in pieces.
    let mut rng = Rng::from_seed(3);
    let mut out = String::new();
    let ending = loop {
        out.clear();
        let mut letters = session.generate(sampler, || rng.next_u32());
        match letters.write_to(&mut out, 3, None).unwrap() {
            Ending::MaxChars if whole.starts_with(&out) => {
                let saved_rng = rng.clone();
                let mut rest = String::new();
                let mut letters = session.generate(sampler, || rng.next_u32());
                let ending = letters.write_to(&mut rest, usize::MAX, None).unwrap();
                if format!("{out}{rest}") == whole {
                    break ending;
                }
                assert_ne!(saved_rng, rng);
            }
            Ending::MaxChars => {
                session.generate(sampler, || rng.next_u32()).for_each(drop);
            }
            ending => assert_eq!(ending, Ending::EndOfText),
        }
    };
    assert_eq!(ending, Ending::EndOfText);

    session.start_text();
    let first = session.next_char(Sampler::argmax(), || 0).unwrap();
    session.start_text();
    let mut letters = session.generate(Sampler::argmax(), || 0);
    let mut out = String::new();
    let ending = letters.write_to(&mut out, 9, Some(first)).unwrap();
    assert_eq!((ending, out.as_str()), (Ending::StopChar, ""));
}

/// A full string stops the text with its error, not with a panic.
#[test]
fn writing_fails_as_what_is_written_to_fails() {
    struct Full;
    impl std::fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let mut session = Session::boxed(&model);
    let mut letters = session.generate(Sampler::argmax(), || 0);
    assert!(letters.write_to(&mut Full, 9, None).is_err());
    assert_eq!(letters.write_to(&mut Full, 0, None), Ok(Ending::MaxChars));
}

/// No number of tokens overflows the counting of them.
#[test]
fn the_largest_vocabulary_has_a_logit_for_every_token() {
    let header = Header {
        cell: Cell::Lstm,
        precision: Precision::I8,
        chars: "a",
        vocab_size: u16::MAX,
        start: 0,
        end: None,
        embedding_size: 1,
        hidden_size: 1,
        num_layers: 1,
        has_unknown: false,
        input: Input::Table,
        head_bits: WeightBits::Eight,
    };
    let mut bytes = vec![0; format::file_len(&header).unwrap()];
    // The weights are stored plus 64.
    format::write(&header, &mut bytes, |weights| weights.fill(64)).unwrap();
    let model = Model::from_bytes(&bytes).map(|_| ());
    assert_eq!(model, Err(Error::InvalidScale), "64 is no shift");
    format::write(&header, &mut bytes, |weights| {
        weights.fill(64);
        weights[..16].fill(8);
    })
    .unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    let last = Token(u16::MAX - 1);
    let mut session = Session::boxed(&model);
    session.resume(memory(&model).0.as_words(), last).unwrap();
    let sampler = Sampler::with_temperature(1.0).unwrap();
    session.step_with(|logits| {
        assert_eq!(logits.iter().count(), usize::from(u16::MAX));
        assert!(logits.log_prob(last).is_some() && logits.get(Token(u16::MAX)).is_none());
        assert!(logits.argmax() <= last);
        let shares: Vec<f32> = sampler.probabilities(logits).collect();
        assert_eq!(shares.len(), usize::from(u16::MAX));
        last
    });
    session.step_with(|logits| sampler.sample(logits, || u32::MAX));
}

#[test]
fn a_model_is_checked_in_pieces_of_any_length() {
    for bytes in [
        small_model(),
        include_bytes!("../../models/names-tiny/names-tiny.charlet").to_vec(),
    ] {
        let whole = Model::from_bytes(&bytes).unwrap();
        for len in [0, 1, 7, 100, 1024, usize::MAX] {
            let mut loader = Loader::new(&bytes).unwrap();
            let mut pieces = 0;
            let model = loop {
                if let Some(model) = loader.advance(len).unwrap() {
                    break model;
                }
                pieces += 1;
                assert!(pieces <= 10 * bytes.len(), "pieces of {len} never end");
            };
            assert_eq!(model.checksum(), whole.checksum());
            assert!(
                pieces >= (bytes.len() - 32) / len.max(1),
                "{pieces} of {len}"
            );
        }
        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let mut loader = Loader::new(&damaged).unwrap();
        let error = loop {
            match loader.advance(100) {
                Ok(None) => {}
                result => break result.err(),
            }
        };
        assert_eq!(error, Some(Error::ChecksumMismatch));
    }
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
    let mut session = Session::boxed(&model);
    let score = session.score_text("bad").unwrap();
    crate::support::tolerance::BETWEEN_OURS.check("score", score.into(), expected);
    assert_eq!(session.score_char('x'), Err(Error::UnknownChar('x')));
    // Whatever the session has read before, a text is scored from its start.
    session.prompt("cc").unwrap();
    assert_eq!(session.score_text("bad"), Ok(score));
}

#[test]
fn a_text_scored_in_pieces_has_the_scores_of_the_whole() {
    let bytes = small_model();
    let model = Model::from_bytes(&bytes).unwrap();
    let mut session = Session::boxed(&model);
    let whole = ['b', 'a', 'd', 'c'].map(|char| session.score_char(char).unwrap());
    let mut pieces = Vec::new();
    let mut saved = vec![0; session.saved_len()];
    session.start_text();
    session.save(&mut saved).unwrap();
    for piece in ["ba", "", "dc"] {
        let mut session = Session::boxed(&model);
        session.restore(&saved).unwrap();
        pieces.extend(piece.chars().map(|char| session.score_char(char).unwrap()));
        session.save(&mut saved).unwrap();
    }
    assert_eq!(pieces, whole);
}
