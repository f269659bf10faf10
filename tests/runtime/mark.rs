//! A mark for characters that a model doesn't know: its files, and what texts make of it.

use charlet::format::{self, Header, Precision};
use charlet::{Error, Model, Rng, Sampler, Session, Token};
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::shape::Shape;

use super::model_file::{Forged, error, header, reseal};
use crate::support::{alphabet, memory, model_of, network, small_model};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::I8, Precision::I4];

/// The model whose last character is the end, and whose end is the mark.
fn with_mark(file: &[u8]) -> Vec<u8> {
    let model = Model::from_bytes(file).unwrap();
    let header = model.header();
    let (at, _) = header.chars.char_indices().next_back().unwrap();
    let header = Header {
        chars: &header.chars[..at],
        start: header.vocab_size - 2,
        end: Some(header.vocab_size - 2),
        has_unknown: true,
        ..header
    };
    let mut marked = vec![0; format::file_len(&header).unwrap()];
    format::write(&header, &mut marked, |weights| {
        let from = file.len() - weights.len();
        weights.copy_from_slice(&file[from..]);
    })
    .unwrap();
    marked
}

/// Tokens `a`, `b`, `c`, the end, the mark.
fn random_model(precision: Precision) -> Vec<u8> {
    let shape = Shape {
        vocab_size: 5,
        embedding_size: 4,
        hidden_size: 8,
        num_layers: 2,
    };
    with_mark(&model_file(&network(shape), &alphabet(5), precision).unwrap())
}

#[test]
fn a_file_with_a_mark_is_written_and_read() {
    for precision in PRECISIONS {
        let file = random_model(precision);
        assert_eq!(file[8..10], [2, 0]);
        let model = Model::from_bytes(&file).unwrap();
        let vocab = model.vocab();
        assert_eq!((vocab.chars(), vocab.size()), ("abc", 5));
        assert_eq!(vocab.unknown(), Some(Token(4)));
        assert_eq!(vocab.end(), Some(Token(3)));
        assert_eq!((vocab.token('x'), vocab.char(Token(4))), (None, None));
        let header = model.header();
        assert_eq!((header.version(), header.has_unknown), (2, true));
        let mut again = vec![0; file.len()];
        let weights = |to: &mut [u8]| to.copy_from_slice(&file[file.len() - to.len()..]);
        format::write(&header, &mut again, weights).unwrap();
        assert!(again == file);
    }
}

/// The header of the file that the specification's reader would write.
fn marked() -> Header<'static> {
    Header {
        start: 2,
        end: Some(2),
        has_unknown: true,
        ..header("ab")
    }
}

#[test]
fn a_file_with_a_mark_made_by_hand_is_read() {
    let forged = Forged::new(&marked());
    assert_eq!(
        forged.header.last(),
        Some(&1),
        "a mark, a table, eight bits"
    );
    let file = forged.bytes();
    assert_eq!(Model::from_bytes(&file).unwrap().header(), marked());
}

#[test]
fn what_is_no_mark_is_refused() {
    // The last token is a character, or the end.
    for (chars, end) in [("abcd", None), ("ab", Some(3)), ("abc", Some(3))] {
        let header = Header {
            chars,
            end,
            ..marked()
        };
        let refused = error(&Forged::new(&header).bytes());
        assert_eq!(refused, Error::InvalidVocabulary, "{chars} {end:?}");
    }
    let with = |change: &dyn Fn(&mut Forged)| {
        let mut forged = Forged::new(&marked());
        change(&mut forged);
        error(&forged.bytes())
    };
    let shorter = with(&|forged| forged.header.truncate(forged.header.len() - 1));
    assert_eq!(shorter, Error::InvalidHeader);
    let longer = with(&|forged| forged.header.push(0));
    assert_eq!(longer, Error::InvalidHeader);
    let earlier = with(&|forged| forged.version = 1);
    assert_eq!(
        earlier,
        Error::InvalidHeader,
        "more fields than version 1 has"
    );
}

#[test]
fn flags_that_a_precision_has_not_are_refused() {
    for (precision, most) in [(Precision::F32, 1), (Precision::I8, 3), (Precision::I4, 7)] {
        let mut forged = Forged::new(&Header {
            precision,
            ..marked()
        });
        for flags in 0..=255 {
            *forged.header.last_mut().unwrap() = flags;
            // The sizes of the file are those of one in single precision with a mark.
            match Model::from_bytes(&forged.bytes()).map(|model| model.header().has_unknown) {
                Ok(true) => assert_eq!((precision, flags), (Precision::F32, 1)),
                Err(Error::InvalidSizes) => {
                    assert!((1..=most).contains(&flags), "{precision} {flags}");
                }
                Err(Error::InvalidHeader) => {
                    assert!(!(1..=most).contains(&flags), "{precision} {flags}");
                }
                other => panic!("{precision} {flags}: {other:?}"),
            }
        }
    }
}

#[test]
fn without_a_mark_files_have_version_1() {
    let file = small_model();
    assert_eq!(file[8..10], [1, 0]);
    let header = Model::from_bytes(&file).unwrap().header();
    let length = postcard::to_stdvec(&header).unwrap().len();
    assert_eq!(file[12..16], (length as u32).to_le_bytes());
    // There is one file for a model: none of version 2 that says what version 1 can say.
    let mut forged = Forged::new(&header);
    forged.version = 2;
    assert_eq!(error(&forged.bytes()), Error::InvalidHeader);
    forged.header.push(0);
    assert_eq!(error(&forged.bytes()), Error::InvalidHeader);
}

#[test]
fn another_version_is_told_with_the_way_out() {
    for found in [0, 3, 256] {
        let mut file = random_model(Precision::I8);
        file[8..10].copy_from_slice(&u16::to_le_bytes(found));
        let refused = error(&reseal(&file));
        assert_eq!(
            refused,
            Error::UnsupportedVersion {
                found,
                supported: 2
            }
        );
        let message = refused.to_string();
        assert!(
            message.contains("version") && message.contains("update charlet"),
            "{message}"
        );
    }
}

#[test]
fn an_unknown_character_is_fed_and_priced_as_the_mark() {
    for precision in PRECISIONS {
        let file = random_model(precision);
        let model = Model::from_bytes(&file).unwrap();
        let (mut state, mut workspace) = memory(&model);
        let mut sum = 0.0;
        let tokens = [3, 0, 4, 1, 4, 3].map(Token);
        for pair in tokens.windows(2) {
            let logits = model.step(pair[0], &mut state, &mut workspace).unwrap();
            sum += logits.log_prob(pair[1]).unwrap();
        }
        let mut session = Session::boxed(&model);
        assert_eq!(session.score_text("aXb語"), Ok(sum), "{precision}");

        session.prompt("aXb語").unwrap();
        assert_eq!(session.next_input(), Token(4));
        let mut other = Session::boxed(&model);
        for char in "a\0b\u{10ffff}".chars() {
            other.score_char(char).unwrap();
        }
        assert_eq!(session.state(), other.state());
        assert_eq!(session.next_input(), other.next_input());
        // A position after an unknown character is saved and restored.
        let mut saved = vec![0; session.saved_len()];
        session.save(&mut saved).unwrap();
        other.start_text();
        other.restore(&saved).unwrap();
        assert_eq!(session.state(), other.state());
    }
}

#[test]
fn generated_text_never_has_the_mark() {
    // The mark is by far the most probable, the end by far the least.
    let logits = [0.0, 1.0, 0.5, -20.0, 20.0];
    let sampler = |temperature| Sampler::with_temperature(temperature).unwrap();
    let samplers = [
        Sampler::argmax(),
        sampler(1.0),
        sampler(1e-30),
        sampler(1.0).top_k(1).unwrap(),
        sampler(1.0).top_p(0.01).unwrap(),
        sampler(1.0).top_k(4).unwrap().top_p(0.999).unwrap(),
    ];
    for precision in PRECISIONS {
        let file = with_mark(&model_of(&logits, precision));
        let model = Model::from_bytes(&file).unwrap();
        let mut session = Session::boxed(&model);
        let mut rng = Rng::from_seed(7);
        for (at, sampler) in samplers.into_iter().enumerate() {
            for _ in 0..300 {
                let char = session.next_char(sampler, || rng.next_u32());
                // A mark would end the text.
                assert!(char.is_some(), "{precision}, sampler {at}");
            }
        }
        // So hot that all others are equal, the end with them.
        for sampler in [sampler(1e30), sampler(1e30).top_k(4).unwrap()] {
            let mut counts = [0; 4];
            for _ in 0..4000 {
                let char = session.next_char(sampler, || rng.next_u32());
                counts[char.map_or(3, |char| (u32::from(char) - 97) as usize)] += 1;
            }
            assert!(
                counts.iter().all(|count| (850..1150).contains(count)),
                "{counts:?}"
            );
        }
        // The most probable of the others, not the first.
        assert_eq!(session.next_char(Sampler::argmax(), || 0), Some('b'));
        let random = [0, u32::MAX];
        for random in random {
            let top_1 = sampler(1e30).top_k(1).unwrap();
            assert!(session.next_char(top_1, || random).is_some(), "{precision}");
        }
    }
}

#[test]
fn a_model_of_nothing_but_marks_makes_nothing() {
    for precision in PRECISIONS {
        let file = with_mark(&model_of(&[1.0, 0.0], precision));
        let model = Model::from_bytes(&file).unwrap();
        let mut session = Session::boxed(&model);
        for sampler in [Sampler::argmax(), Sampler::with_temperature(1.0).unwrap()] {
            assert_eq!(session.next_char(sampler, || u32::MAX), None);
        }
        assert!(session.score_text("any").unwrap().is_finite());
    }
}
