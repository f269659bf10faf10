use charlet::format::layout::WeightBits;
use charlet::format::{Cell, Header, Input, Precision};
use charlet::{BoxedSession, Error, Model, Session};

use super::model;

/// No text is read further.
const MOST: usize = 40;

/// Reads a message by several small models, with a check and without; what is a text is compressed, and
/// must come back.
pub fn check(bytes: &[u8]) {
    thread_local! {
        static MODELS: Vec<Vec<u8>> = files();
    }
    MODELS.with(|files| {
        for file in files {
            read(&Model::from_bytes(file).expect("a model"), bytes);
        }
    });
}

fn read(model: &Model<'_>, bytes: &[u8]) {
    let mut session = Session::boxed(model);
    for check in [false, true] {
        let mut text = String::new();
        let result = if check {
            session.decompress_checked(bytes, &mut text, MOST)
        } else {
            session.decompress(bytes, &mut text, MOST)
        };
        match result {
            Ok(chars) => assert_eq!(chars, text.chars().count()),
            Err(Error::BufferFull) => assert_eq!(text.chars().count(), MOST),
            Err(error) => assert_eq!(error, Error::CorruptMessage),
        }
        comes_back(&mut session, &text, check);
    }
    let start: String = String::from_utf8_lossy(bytes).chars().take(MOST).collect();
    comes_back(&mut session, &start, false);
}

fn comes_back(session: &mut BoxedSession<'_>, text: &str, check: bool) {
    let mut message = vec![0; text.len() + 1 + usize::from(check)];
    let len = if check {
        session.compress_checked(text, &mut message)
    } else {
        session.compress(text, &mut message)
    };
    let message = &message[..len.expect("at most a byte more, and the check")];
    let mut again = String::new();
    let chars = if check {
        session.decompress_checked(message, &mut again, MOST)
    } else {
        session.decompress(message, &mut again, MOST)
    };
    assert_eq!(chars, Ok(text.chars().count()));
    assert_eq!(again, text);
}

/// Lists and running text, with a mark for unknown characters and without, in floats and integers.
fn files() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for (precision, end, has_unknown) in [
        (Precision::I8, Some(5), false),
        (Precision::I4, None, false),
        (Precision::I8, None, true),
        (Precision::F32, Some(5), true),
    ] {
        let header = Header {
            cell: Cell::Lstm,
            precision,
            chars: "\nabcé",
            vocab_size: 7,
            start: 5,
            end,
            embedding_size: 300,
            hidden_size: 5,
            num_layers: 1,
            has_unknown,
            input: Input::Table,
            head_bits: WeightBits::Eight,
        };
        let noise: Vec<u8> = (0..251u32).map(|at| (at * at * 7 + at) as u8).collect();
        files.push(model::written(&header, &noise));
    }
    files
}

/// What to begin with: of each model a message, coded and stored.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(), b"\xffzo\xc3\xab".to_vec()];
    for file in files() {
        let model = Model::from_bytes(&file).expect("a model");
        let mut session = Session::boxed(&model);
        let mut message = [0; 40];
        for text in ["abcabcab\ncab", "abcabcabcbab\u{e9}\u{1f600}"] {
            let len = session.compress_checked(text, &mut message);
            seeds.push(message[..len.expect("room for it")].to_vec());
        }
    }
    seeds.dedup();
    seeds
}
