//! The rooms of each crate, in the order that its lib.rs shows: a room uses only those listed before it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// The rooms in the first block of text under the heading "Rooms" of a crate's documentation.
fn listed(lib: &str) -> Option<Vec<String>> {
    let docs = lib.lines().map_while(|line| line.strip_prefix("//!"));
    let block = docs
        .skip_while(|line| line.trim() != "# Rooms")
        .skip_while(|line| line.trim() != "```text")
        .skip(1)
        .take_while(|line| line.trim() != "```");
    let rooms: Vec<String> = block
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect();
    (!rooms.is_empty()).then_some(rooms)
}

/// A crate's sources, with their paths inside `src`.
fn sources(src: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inside = path.strip_prefix(src).unwrap().to_owned();
                found.push((inside, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The module of a file: `a/b.rs` and `a/b/mod.rs` are both [a, b]. The crate's roots have none.
fn module(path: &Path) -> Vec<String> {
    let parts = path.with_extension("");
    let parts = parts.iter().map(|part| part.to_str().unwrap().to_owned());
    let mut parts: Vec<String> = parts.collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    if parts == ["lib"] || parts == ["main"] {
        parts.pop();
    }
    parts
}

/// A source without comments, which may name what they like, line by line.
fn code(source: &str) -> String {
    let code = source.lines().map(|line| {
        let line = if line.trim_start().starts_with("//") {
            ""
        } else {
            line
        };
        line.split_once(" // ").map_or(line, |(code, _)| code)
    });
    code.collect::<Vec<_>>().join("\n")
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// What a path goes on with: its next name, or those of a group in braces.
fn next_names(rest: &str) -> Vec<&str> {
    let name = |text: &'_ str| text.find(|char| !is_word(char)).unwrap_or(text.len());
    let Some(group) = rest.strip_prefix('{') else {
        return vec![&rest[..name(rest)]];
    };
    let mut names = Vec::new();
    let (mut depth, mut is_first) = (0, true);
    for (at, char) in group.char_indices() {
        match char {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            _ if is_first && is_word(char) => {
                names.push(&group[at..at + name(&group[at..])]);
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

/// The rooms that a file's code names, each with its line: by way of the crate, or by climbing out of its own room.
fn used(path: &Path, source: &str, crate_name: &str) -> Vec<(usize, String)> {
    let code = code(source);
    let depth = module(path).len();
    let mut found = Vec::new();
    for root in ["crate", crate_name, "super"] {
        let prefix = format!("{root}::");
        let mut from = 0;
        while let Some(at) = code[from..].find(&prefix).map(|at| from + at) {
            from = at + prefix.len();
            let before = code[..at].chars().next_back();
            // `$crate` is for whoever uses a macro, `a::super` is the rest of a path.
            if before.is_some_and(|char| is_word(char) || char == '$' || char == ':') {
                continue;
            }
            let mut rest = &code[from..];
            let mut climbed = usize::from(root == "super");
            while let Some(above) = rest.strip_prefix("super::") {
                rest = above;
                climbed += 1;
            }
            if root == "super" && climbed < depth {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let names = next_names(rest).into_iter();
            found.extend(names.map(|name| (line, name.to_owned())));
        }
    }
    found
}

/// What is wrong with the imports of a crate.
fn problems(rooms: &[String], crate_name: &str, sources: &[(PathBuf, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut arrows = BTreeSet::new();
    let place = |room: &str| rooms.iter().position(|listed| listed == room);
    for (path, source) in sources {
        let module = module(path);
        let Some(own) = module.first() else {
            continue;
        };
        let shown = path.display();
        let Some(own_place) = place(own) else {
            problems.push(format!("{shown}: the room `{own}` is not in lib.rs's list"));
            continue;
        };
        for (line, room) in used(path, source, crate_name) {
            let Some(other_place) = place(&room) else {
                continue;
            };
            arrows.insert((own_place, other_place));
            if other_place > own_place {
                problems.push(format!(
                    "{shown}:{line}: `{own}` uses `{room}`, which is listed after it"
                ));
            }
        }
    }
    for &(one, other) in &arrows {
        if one < other && arrows.contains(&(other, one)) {
            let (one, other) = (&rooms[one], &rooms[other]);
            problems.push(format!("`{one}` and `{other}` use each other"));
        }
    }
    problems
}

fn check(folder: &str, crate_name: &str) -> Option<()> {
    let src = repository(folder).join("src");
    let sources = sources(&src);
    let rooms = listed(&fs::read_to_string(src.join("lib.rs")).unwrap())?;
    for room in &rooms {
        let is_there = |(path, _): &(PathBuf, String)| module(path).first() == Some(room);
        assert!(sources.iter().any(is_there), "{folder} has no room {room}");
    }
    let problems = problems(&rooms, crate_name, &sources);
    assert!(problems.is_empty(), "{folder}:\n{}", problems.join("\n"));
    Some(())
}

#[test]
fn a_room_of_the_trainer_uses_only_those_before_it() {
    check("trainer", "charlet_trainer").expect("lib.rs lists the rooms");
}

#[test]
fn a_room_of_the_runtime_uses_only_those_before_it() {
    check("runtime", "charlet").expect("lib.rs lists the rooms");
}

#[test]
fn what_is_forbidden_is_found_wherever_it_stands() {
    let lib = "//! A crate.\n//!\n//! # Rooms\n//!\n//! ```text\n//! low   it\n//! high  it\n//! ```\npub mod low;\n";
    let rooms = listed(lib).unwrap();
    assert_eq!(rooms, ["low", "high"]);
    assert_eq!(listed("//! A crate.\npub mod low;\n"), None);
    let found = |path: &str, source: &str| {
        let above = (
            PathBuf::from("high/mod.rs"),
            "use crate::low::A;".to_owned(),
        );
        problems(&rooms, "it", &[above, (path.into(), source.to_owned())])
    };
    for source in [
        "use crate::high::B;",
        "pub(crate) use crate::high;",
        "use crate::{\n    low::{self, high},\n    high::{B, C},\n};",
        "fn a() -> crate::high::B {\n    it()\n}",
        "use it::high::B;",
        "use super::super::high::B;",
    ] {
        let problems = found("low/part.rs", source);
        assert_eq!(problems.len(), 2, "{source}: {problems:?}");
        assert!(problems[0].starts_with("low/part.rs:1: `low` uses `high`"));
        assert_eq!(problems[1], "`low` and `high` use each other");
    }
    assert_eq!(found("low.rs", "use super::high::B;").len(), 2);
    for source in [
        "//! [`B`](crate::high::B)\nuse crate::low::{self, high::C};",
        "let a = 1; // crate::high does more",
        "use super::high::D;",
        "use that_crate::high::E;",
        "($a:expr) => { $crate::high::B }",
    ] {
        assert_eq!(found("low/part.rs", source), [""; 0], "{source}");
    }
    assert_eq!(
        found("attic.rs", ""),
        ["attic.rs: the room `attic` is not in lib.rs's list"]
    );
}
