//! A mark for characters that a model doesn't know: its files, and what texts make of it.

use charlet::format::{self, Header, Input, Precision, WeightBits};
use charlet::{Error, Model, Rng, Sampler, Session, Token};
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::shape::Shape;

use super::model_file::{Forged, error, header, reseal};
use crate::support::{alphabet, memory, model_of, network, small_model};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::I8, Precision::I4];

/// The model whose last character is the mark.
fn with_mark(file: &[u8]) -> Vec<u8> {
    let model = Model::from_bytes(file).unwrap();
    let header = model.header();
    let (at, _) = header.chars.char_indices().next_back().unwrap();
    let header = Header {
        chars: &header.chars[..at],
        unknown: Some(header.chars.chars().count() as u16 - 1),
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

/// Tokens `a`, `b`, `c`, the mark, the end.
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
        assert_eq!(vocab.unknown(), Some(Token(3)));
        assert_eq!(vocab.end(), Some(Token(4)));
        assert_eq!((vocab.token('x'), vocab.char(Token(3))), (None, None));
        let header = model.header();
        assert_eq!((header.version(), header.unknown), (2, Some(3)));
        let mut again = vec![0; file.len()];
        let weights = |to: &mut [u8]| to.copy_from_slice(&file[file.len() - to.len()..]);
        format::write(&header, &mut again, weights).unwrap();
        assert!(again == file);
    }
}

/// The header of the file that the specification's reader would write.
fn marked() -> Header<'static> {
    Header {
        unknown: Some(2),
        ..header("ab")
    }
}

#[test]
fn a_file_with_a_mark_made_by_hand_is_read() {
    let forged = Forged::new(&marked());
    let (_, mark) = forged.header.split_last_chunk::<4>().unwrap();
    assert_eq!(mark, &[1, 2, 0, 0], "some, its token, a table, eight bits");
    let file = forged.bytes();
    assert_eq!(Model::from_bytes(&file).unwrap().header(), marked());
}

#[test]
fn what_is_no_mark_is_refused() {
    for unknown in [0, 1, 3, 4, u16::MAX] {
        let header = Header {
            unknown: Some(unknown),
            ..marked()
        };
        let refused = error(&Forged::new(&header).bytes());
        assert_eq!(refused, Error::InvalidVocabulary, "{unknown}");
    }
    let with = |change: &dyn Fn(&mut Forged)| {
        let mut forged = Forged::new(&marked());
        change(&mut forged);
        error(&forged.bytes())
    };
    let cut = |by: usize| with(&|forged| forged.header.truncate(forged.header.len() - by));
    for by in 1..=4 {
        assert_eq!(cut(by), Error::InvalidHeader, "{by} bytes less");
    }
    let set = |back: usize, value| {
        with(&|forged| {
            let at = forged.header.len() - back;
            forged.header[at] = value;
        })
    };
    for (back, what) in [
        (1, "bits of the head"),
        (2, "input"),
        (4, "whether there is a mark"),
    ] {
        for value in [2, 0x7f, 0x80] {
            assert_eq!(set(back, value), Error::InvalidHeader, "{what} {value}");
        }
    }
    // Models of f32 have a table, and a head like the rest.
    assert_eq!(set(1, 1), Error::InvalidHeader);
    assert_eq!(set(2, 1), Error::InvalidHeader);
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
    let nothing = (None::<u16>, Input::Table, WeightBits::Eight);
    forged.header.extend(postcard::to_stdvec(&nothing).unwrap());
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
        let tokens = [4, 0, 3, 1, 3, 4].map(Token);
        for pair in tokens.windows(2) {
            let logits = model.step(pair[0], &mut state, &mut workspace).unwrap();
            sum += logits.log_prob(pair[1]).unwrap();
        }
        let mut session = Session::boxed(&model);
        assert_eq!(session.score_text("aXb語"), Ok(sum), "{precision}");

        session.prompt("aXb語").unwrap();
        assert_eq!(session.next_input(), Token(3));
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
    let logits = [0.0, 1.0, 0.5, 20.0, -20.0];
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
