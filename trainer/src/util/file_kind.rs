//! What kind of file a path leads to, and what to say where another kind is wanted.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use charlet::format::MAGIC;

use super::replace::refuse_replacing;
use super::{memory, shell};

/// How a compressed text begins. The first byte is never that of a character.
pub const COMPRESSED: [u8; 4] = *b"\x8fclz";

/// As much of a file's beginning as its kind is told by.
const HEAD: u64 = 1 << 16;

/// The kinds of files that commands read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model, `.charlet`.
    Model,
    /// A checkpoint of a training, `.safetensors`.
    Checkpoint,
    /// A saved state of a text, which `--state-out` wrote.
    State,
    /// A text that `charlet compress` compressed, `.clz`.
    Compressed,
    /// All settings of a run, `config.toml`.
    Settings,
    /// A network that another program has trained: of PyTorch, Keras or ONNX.
    Foreign,
    /// Any text.
    Text,
    /// Weights, in a model or a checkpoint.
    Network,
}

impl Kind {
    /// What a user calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Model => "a charlet model",
            Self::Checkpoint => "a checkpoint",
            Self::State => "a saved state",
            Self::Compressed => "a compressed text",
            Self::Settings => "a settings file",
            Self::Foreign => "a network of PyTorch, Keras or ONNX",
            Self::Text => "a text file",
            Self::Network => "a model or a checkpoint",
        }
    }
}

/// What is found at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// A file of ours, or a text.
    Ours(Kind),
    /// A file of another program: what it is called, and what to do with it.
    Theirs(&'static str, &'static str),
    /// Weights that no training of ours wrote, or that say nothing of it at their beginning.
    Safetensors,
    Folder,
    Empty,
    Unknown,
}

const OTHER_WEIGHTS: &str = "charlet import makes a model of it";
const PACKED: &str = "unpack it first";
const CONVERTED: &str = "convert it to plain text first";

const ZIP: Found = Found::Theirs("a zip archive", PACKED);

/// How files of other programs begin.
const SIGNATURES: [(&[u8], Found); 12] = [
    (b"PK\x03\x04", ZIP),
    (b"\x1f\x8b", Found::Theirs("compressed by gzip", PACKED)),
    (b"BZh", Found::Theirs("compressed by bzip2", PACKED)),
    (b"\xfd7zXZ\0", Found::Theirs("compressed by xz", PACKED)),
    (
        b"\x28\xb5\x2f\xfd",
        Found::Theirs("compressed by zstd", PACKED),
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        Found::Theirs("a 7-Zip archive", PACKED),
    ),
    (b"%PDF-", Found::Theirs("a PDF document", CONVERTED)),
    (
        b"\xd0\xcf\x11\xe0",
        Found::Theirs("a document of an old Office", CONVERTED),
    ),
    (
        b"\x89PNG\r\n",
        Found::Theirs("a PNG picture", "it has no text"),
    ),
    (
        b"\x89HDF\r\n",
        Found::Theirs("an HDF5 file, as Keras writes them", OTHER_WEIGHTS),
    ),
    (
        b"GGUF",
        Found::Theirs("a GGUF file", "save it as safetensors"),
    ),
    (
        b"\x80\x02",
        Found::Theirs("a PyTorch or pickle file", OTHER_WEIGHTS),
    ),
];

impl Found {
    fn of(head: &[u8]) -> Self {
        let has = |part: &str| head.windows(part.len()).any(|at| at == part.as_bytes());
        if head.is_empty() {
            return Self::Empty;
        }
        if head.starts_with(&MAGIC) {
            return Self::Ours(Kind::Model);
        }
        if head.starts_with(&COMPRESSED) {
            return Self::Ours(Kind::Compressed);
        }
        // The length of the header, and its JSON.
        if head.get(8) == Some(&b'{') && head.get(6..8) == Some(&[0, 0]) {
            return if has("\"__metadata__\":{\"charlet\":") {
                Self::Ours(Kind::Checkpoint)
            } else {
                Self::Safetensors
            };
        }
        if head.starts_with(b"PK\x03\x04") && has(".pkl") {
            return Self::Theirs("a PyTorch file", OTHER_WEIGHTS);
        }
        if head.starts_with(b"PK\x03\x04") && has("model.weights.h5") {
            return Self::Theirs("a Keras file", OTHER_WEIGHTS);
        }
        let known = SIGNATURES.iter().find(|(begin, _)| head.starts_with(begin));
        if let Some(&(_, found)) = known {
            return found;
        }
        let is_text = match std::str::from_utf8(head) {
            Ok(_) => true,
            // The head may end within a character.
            Err(error) => error.error_len().is_none() && head.len() as u64 == HEAD,
        };
        if !is_text || head.contains(&0) {
            Self::Unknown
        } else if head.starts_with(b"{\"charlet_state\"") {
            Self::Ours(Kind::State)
        } else if has("[training]\n") && has("[network]\n") {
            Self::Ours(Kind::Settings)
        } else {
            Self::Ours(Kind::Text)
        }
    }

    /// Whether this may be read as that; what it lacks is then said by whoever reads it.
    fn may_be(self, wanted: Kind) -> bool {
        match wanted {
            Kind::Model | Kind::Compressed => self == Self::Ours(wanted),
            Kind::Checkpoint => matches!(self, Self::Ours(Kind::Checkpoint) | Self::Safetensors),
            Kind::State => matches!(self, Self::Ours(Kind::State | Kind::Text)),
            Kind::Settings => matches!(
                self,
                Self::Ours(Kind::Settings | Kind::Text) | Self::Empty | Self::Unknown
            ),
            Kind::Foreign => matches!(
                self,
                Self::Theirs(_, OTHER_WEIGHTS) | ZIP | Self::Safetensors | Self::Unknown
            ),
            Kind::Text => matches!(self, Self::Ours(Kind::Text) | Self::Empty | Self::Unknown),
            Kind::Network => self.may_be(Kind::Model) || self.may_be(Kind::Checkpoint),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ours(kind) => kind.name(),
            Self::Theirs(name, _) => name,
            Self::Safetensors => "a safetensors file of another program",
            Self::Folder => "a folder",
            Self::Empty => "empty",
            Self::Unknown => "a file of an unknown kind",
        }
    }
}

/// Reads a file of this kind or, with `-`, standard input. It has to fit the memory that is left `copies` times.
///
/// # Errors
/// If it can't be read, doesn't fit, or is of another kind: names both, and the command that takes it.
pub fn read(path: &Path, wanted: Kind, copies: u64) -> Result<Vec<u8>> {
    let check = |found: Found| {
        ensure!(found.may_be(wanted), "{}", refusal(path, found, wanted));
        Ok(())
    };
    if path.is_dir() {
        check(Found::Folder)?;
    }
    // The head first: a file of another kind may be without end.
    let mut is_refused = false;
    let bytes = memory::read_checked(path, copies, HEAD, |head| {
        check(Found::of(head)).inspect_err(|_| is_refused = true)
    });
    if is_refused {
        bytes
    } else {
        bytes.with_context(|| unreadable(path, wanted))
    }
}

/// Checks what was read from a path otherwise, of which these are the first bytes.
///
/// # Errors
/// If it is of another kind.
pub fn check(path: &Path, head: &[u8], wanted: Kind) -> Result<()> {
    let found = if path.is_dir() {
        Found::Folder
    } else {
        Found::of(head)
    };
    ensure!(found.may_be(wanted), "{}", refusal(path, found, wanted));
    Ok(())
}

/// Refuses to replace a file by a text, or by bytes without a beginning of their own, unless it is empty or may
/// be such a file, too.
///
/// # Errors
/// If there is another, something that is no file, or no folder for it.
pub fn refuse_replacing_by(output: &Path, what: &str, is_text: bool) -> Result<()> {
    refuse_replacing(output, what, b"")?;
    let mut head = Vec::new();
    if let Ok(file) = File::open(output) {
        file.take(HEAD).read_to_end(&mut head)?;
    }
    let found = Found::of(&head);
    ensure!(
        matches!(found, Found::Empty | Found::Unknown)
            || is_text && found == Found::Ours(Kind::Text),
        "{} is {}, and would be lost: remove it first, or choose another name for the output",
        output.display(),
        found.name()
    );
    Ok(())
}

/// Opens a file of this kind, to be read as it comes. Nothing is waited for: what is no regular file is
/// taken for what is wanted.
///
/// # Errors
/// As [`read`].
pub fn open(path: &Path, wanted: Kind) -> Result<File> {
    let mut head = Vec::new();
    let mut open = || -> std::io::Result<(File, Found)> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Ok((file, Found::Folder));
        }
        if metadata.is_file() {
            (&mut file).take(HEAD).read_to_end(&mut head)?;
            file.rewind()?;
            return Ok((file, Found::of(&head)));
        }
        Ok((file, Found::Ours(wanted)))
    };
    let (file, found) = open().with_context(|| unreadable(path, wanted))?;
    ensure!(found.may_be(wanted), "{}", refusal(path, found, wanted));
    Ok(file)
}

/// Why a file can't be read, as far as its path tells.
fn unreadable(path: &Path, wanted: Kind) -> String {
    let shown = memory::name(path);
    let shown = match wanted {
        Kind::Model => format!("the model {shown}"),
        Kind::Checkpoint => format!("the checkpoint {shown}"),
        Kind::State => format!("the saved state {shown}"),
        Kind::Compressed => format!("the compressed text {shown}"),
        Kind::Settings => format!("the settings in {shown}"),
        Kind::Foreign | Kind::Text | Kind::Network => shown,
    };
    match std::fs::read_link(path) {
        Ok(target) if !path.exists() => {
            format!("can't read {shown}, a link to {}", target.display())
        }
        _ => format!("can't read {shown}"),
    }
}

/// What is at this path, what was wanted, and what to do.
fn refusal(path: &Path, found: Found, wanted: Kind) -> String {
    let (shown, name) = (memory::name(path), found.name());
    let refused = format!("{shown} is {name}, not {}", wanted.name());
    if path == Path::new(memory::STDIN) {
        return refused;
    }
    let folder = match found {
        Found::Folder => path,
        // What a run has written lies together.
        Found::Ours(Kind::Model | Kind::Checkpoint | Kind::Settings) => {
            path.parent().unwrap_or(Path::new(""))
        }
        _ => return format!("{refused}: {}", remedy(path, found, wanted)),
    };
    let place = if found == Found::Folder {
        "in it"
    } else {
        "beside it"
    };
    match of_run(folder, wanted) {
        Some(file) => {
            let command = shell::with_path(path, &file);
            let command = command.unwrap_or_else(|| file.display().to_string());
            format!("{refused}; with {} {place}: {command}", wanted.name())
        }
        None => format!("{refused}: {}", remedy(path, found, wanted)),
    }
}

/// The file of a kind that a run has written into its folder.
fn of_run(folder: &Path, wanted: Kind) -> Option<PathBuf> {
    let names: &[&str] = match wanted {
        Kind::Model | Kind::Network => return model_in(folder),
        Kind::Checkpoint => &["best.safetensors", "last.safetensors"],
        Kind::Settings => &["config.toml"],
        Kind::State | Kind::Compressed | Kind::Foreign | Kind::Text => &[],
    };
    let mut files = names.iter().map(|name| folder.join(name));
    files.find(|file| file.is_file())
}

/// The model in a folder: the one with the shortest name, as others are derived from it.
fn model_in(folder: &Path) -> Option<PathBuf> {
    let is_here = folder == Path::new("");
    let entries = std::fs::read_dir(if is_here { Path::new(".") } else { folder }).ok()?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let models = names.filter(|name| Path::new(name).extension() == Some("charlet".as_ref()));
    let shortest = models.min_by_key(|name| (name.len(), name.clone()))?;
    Some(folder.join(shortest))
}

/// What to do with this where that is wanted.
fn remedy(path: &Path, found: Found, wanted: Kind) -> String {
    let (program, file) = (shell::program(), shell::path(path));
    match (found, wanted) {
        (Found::Theirs(_, remedy), _) => (*remedy).to_owned(),
        (Found::Folder, Kind::Text) if path.join("last.safetensors").is_file() => {
            format!("to go on with the run in it: {program} train --resume {file}")
        }
        (Found::Safetensors, Kind::Model) => OTHER_WEIGHTS.to_owned(),
        (Found::Ours(Kind::Model), Kind::Foreign) => {
            format!("to use it: {program} generate {file}")
        }
        (Found::Ours(Kind::Checkpoint), Kind::Foreign) => {
            let model = shell::path(&path.with_extension("charlet"));
            format!("to make a model of it: {program} quantize {file} --to i8 -o {model}")
        }
        (_, Kind::Foreign) => {
            "name a .safetensors, .pt, .pth, .keras, .h5 or .onnx file".to_owned()
        }
        (_, Kind::State) => "charlet generate --state-out writes one".to_owned(),
        (Found::Folder, _) => format!("name {} in it", wanted.name()),
        (Found::Ours(Kind::Checkpoint), Kind::Model) => {
            let model = shell::path(&path.with_extension("charlet"));
            format!("to make one of it: {program} quantize {file} --to i8 -o {model}")
        }
        (Found::Ours(Kind::Checkpoint), _) => format!(
            "to go on with its run: {program} train --resume {}; to begin one from its weights: --init-from {file}",
            shell::path(match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            })
        ),
        (Found::Ours(Kind::Model), Kind::Checkpoint) => {
            "name the one that it was exported from, such as best.safetensors in its run's folder"
                .to_owned()
        }
        (Found::Ours(Kind::Model), _) => format!("to use it: {program} generate {file}"),
        (Found::Ours(Kind::Compressed), _) => {
            format!("to read it: {program} decompress MODEL {file}")
        }
        (Found::Ours(Kind::State), _) => "charlet generate --state-in takes it".to_owned(),
        (Found::Ours(Kind::Settings), _) => {
            format!("to train with these settings: {program} train --config {file}")
        }
        (Found::Ours(Kind::Text), Kind::Model) => {
            format!("to make a model of it: {program} train {file}")
        }
        (_, Kind::Compressed) => {
            "charlet compress makes one; what it made with --raw is read with --raw, \
                                  and with --hex, --base64 or --base91 with the same"
                .to_owned()
        }
        (_, Kind::Model) => "charlet train makes one, and names it .charlet".to_owned(),
        (_, Kind::Checkpoint) => "charlet train writes them, such as best.safetensors".to_owned(),
        (_, Kind::Settings) => "charlet train writes one, config.toml".to_owned(),
        (_, Kind::Text) => "charlet reads plain text in UTF-8".to_owned(),
        (_, Kind::Network) => "charlet train makes both".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_by_the_first_bytes() {
        let header = |json: &str| [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
        let ours = header("{\"__metadata__\":{\"charlet\":\"{}\"}}");
        for (bytes, kind) in [
            (&b"charlet\n..."[..], Kind::Model),
            (&ours, Kind::Checkpoint),
            (b"{\"charlet_state\":1}", Kind::State),
            (b"\x8fclz\x01...", Kind::Compressed),
            (b"[network]\nlayers = 1\n[training]\n", Kind::Settings),
            ("\u{feff}anna\nbjörn".as_bytes(), Kind::Text),
        ] {
            assert_eq!(Found::of(bytes), Found::Ours(kind));
        }
        assert_eq!(Found::of(&header("{\"a\":{}}")), Found::Safetensors);
        assert_eq!(
            Found::of(b"PK\x03\x04 archive/data.pkl").name(),
            "a PyTorch file"
        );
        assert_eq!(
            Found::of(b"PK\x03\x04 [Content_Types].xml").name(),
            "a zip archive"
        );
        assert_eq!(Found::of(b"\x1f\x8b\x08").name(), "compressed by gzip");
        assert_eq!(Found::of(b""), Found::Empty);
        assert_eq!(Found::of(b"Bj\xf6rn"), Found::Unknown);
        let mut long = "ä".repeat(HEAD as usize).into_bytes();
        long.insert(0, b'a');
        assert_eq!(Found::of(&long[..HEAD as usize]), Found::Ours(Kind::Text));
    }
}
