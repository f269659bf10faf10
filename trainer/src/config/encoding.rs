//! Encodings and normal forms of texts, by name.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The encoding of a text file, by a name that the Encoding Standard of the web knows, such as `latin1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Encoding(pub(crate) &'static encoding_rs::Encoding);

impl FromStr for Encoding {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let encoding = encoding_rs::Encoding::for_label_no_replacement(name.as_bytes());
        encoding.map(Self).with_context(|| {
            format!(
                "there is no encoding {name:?}: names are utf-8, utf-16le, windows-1252, \
                 iso-8859-2, koi8-r, shift_jis, gb18030 and others of the web's Encoding Standard"
            )
        })
    }
}

impl TryFrom<String> for Encoding {
    type Error = anyhow::Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<Encoding> for String {
    fn from(encoding: Encoding) -> Self {
        encoding.to_string()
    }
}

impl Display for Encoding {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

/// Normal forms of Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum NormalForm {
    /// Composed: é is one character
    Nfc,
    /// Decomposed: é is e and an accent
    Nfd,
    /// Composed, and ligatures and other compatibility characters replaced: ﬁ is f and i
    Nfkc,
    /// Decomposed, and compatibility characters replaced
    Nfkd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_web() {
        let parsed = |name: &str| name.parse::<Encoding>().map(String::from);
        assert_eq!(parsed("latin1").unwrap(), "windows-1252");
        assert_eq!(parsed("UTF-16").unwrap(), "UTF-16LE");
        // It would decode to nothing.
        for wrong in ["ebcdic", "", "iso-2022-kr"] {
            assert!(parsed(wrong).unwrap_err().to_string().contains("utf-8"));
        }
    }
}
