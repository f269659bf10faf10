//! To an array in C or C++, for those who have no `include_bytes!`.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};
use charlet::Model;
use charlet::format::WEIGHTS_ALIGN;

/// How the files begin that we write.
pub const BEGINNING: &str = "/* A model of charlet as an array";

/// Bytes in a line.
const LINE: usize = 24;

/// Whether the array is for one file that includes it, or is compiled by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A header: the array is `static`.
    Header,
    /// A source: the array is `extern`, and other files declare it.
    Source,
}

impl Kind {
    /// The kind that a file's name has.
    ///
    /// # Errors
    /// If it is no name of a file in C or C++.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        Ok(match extension {
            Some("h" | "hh" | "hpp" | "hxx") => Self::Header,
            Some("c" | "cc" | "cpp" | "cxx") => Self::Source,
            _ => bail!(
                "{} is no name of a file in C: name it .h, to be included, or .c, to be compiled",
                path.display()
            ),
        })
    }
}

/// What the names in a file begin with, from its own: letters, digits and single underscores. What follows keeps
/// it from being a keyword.
pub fn identifier(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let words = stem.split(|char: char| !char.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let name = words.join("_");
    match name.bytes().next() {
        None => "charlet".to_owned(),
        Some(b'0'..=b'9') => format!("model_{name}"),
        Some(_) => name,
    }
}

/// A model file's bytes as an array in C99 and C++, in a file of this name.
///
/// # Errors
/// If it is no name of a file in C or C++, or the bytes are no model.
pub fn c_array(path: &Path, bytes: &[u8]) -> Result<String> {
    let kind = Kind::of(path)?;
    let model = Model::from_bytes(bytes)?;
    let (header, sizes) = (model.header(), model.sizes());
    let name = identifier(path);
    let upper = name.to_ascii_uppercase();
    // Up to four characters a byte.
    let mut text = String::with_capacity(4 * bytes.len() + bytes.len() / LINE + 2048);
    text.push_str(BEGINNING);
    writeln!(
        text,
        ": {}, {} x {}, checksum {:08x}.",
        header.precision,
        header.num_layers,
        header.hidden_size,
        model.checksum()
    )?;
    text.push_str(match kind {
        Kind::Header => "   Include it in one file, of C99 or C++. */\n",
        Kind::Source => "   Other files need the constants and the declaration that follow. */\n",
    });
    if kind == Kind::Header {
        write!(text, "#ifndef {upper}_MODEL_H\n#define {upper}_MODEL_H\n\n")?;
    }
    write!(
        text,
        "\
#define {upper}_MODEL_SIZE {} /* bytes */
#define {upper}_STATE_WORDS {} /* words of 32 bits */
#define {upper}_WORKSPACE_WORDS {}

",
        bytes.len(),
        sizes.state,
        sizes.workspace
    )?;
    let array = format!("const unsigned char {name}_model[{upper}_MODEL_SIZE]");
    if kind == Kind::Source {
        write!(
            text,
            "\
#ifdef __cplusplus
extern \"C\" {{
#endif
extern {array};
#ifdef __cplusplus
}}
#endif

"
        )?;
    }
    write!(
        text,
        "\
#if defined(__GNUC__)
#define {upper}_MODEL_ALIGNED __attribute__((aligned({WEIGHTS_ALIGN})))
#elif defined(_MSC_VER)
#define {upper}_MODEL_ALIGNED __declspec(align({WEIGHTS_ALIGN}))
#elif defined(__cplusplus)
#define {upper}_MODEL_ALIGNED alignas({WEIGHTS_ALIGN})
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {upper}_MODEL_ALIGNED _Alignas({WEIGHTS_ALIGN})
#else
#define {upper}_MODEL_ALIGNED /* Any address works; multiples of 4 are faster. */
#endif

{upper}_MODEL_ALIGNED {}{array} = {{
",
        match kind {
            Kind::Header => "static ",
            Kind::Source => "",
        }
    )?;
    for line in bytes.chunks(LINE) {
        for byte in line {
            write!(text, "{byte},")?;
        }
        text.push('\n');
    }
    text.push_str("};\n");
    if kind == Kind::Header {
        text.push_str("\n#endif\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_name_becomes_an_identifier() {
        for (path, name) in [
            ("a/names-i8.h", "names_i8"),
            ("__my  model__.v2.h", "my_model_v2"),
            ("1m.h", "model_1m"),
            ("int.h", "int"),
            ("Größe.h", "Gr_e"),
            ("名前.h", "charlet"),
        ] {
            assert_eq!(identifier(Path::new(path)), name);
        }
    }
}
