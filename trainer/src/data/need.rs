//! The memory that a text needs to become tokens.

use super::source::Source;
use crate::config::Mode;
use crate::util::memory::Need;

/// Of each line of a list: its tokens' place, itself among the known lines, and its place while the list is split.
const LINE: usize = 160;
/// Of each character: its token.
const TOKEN: usize = 4;

/// What texts that were read need to be split and turned into tokens.
pub(super) fn of_tokens<'s>(sources: impl IntoIterator<Item = &'s Source>, mode: Mode) -> Need {
    let mut need = Need::of("this text");
    for Source { text, .. } in sources {
        let tokens = TOKEN * text.chars().count();
        need.add("its characters", tokens as f64, "use a part of it");
        // The held-out part is kept as text, too.
        need.add("a copy", text.len() as f64, "use a part of it");
        if mode == Mode::Lines {
            let lines = LINE * text.lines().count();
            need.add(
                "its lines",
                lines as f64,
                "use a part of it, or --mode text",
            );
        }
    }
    need
}
