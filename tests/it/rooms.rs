//! The borders of the rooms, checked by machine: what a file of src/ may name, and how big it may be.
//! `docs/architecture.md` tells why the borders lie where they lie.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A word that only some rooms may use.
struct Border {
    /// Any of these, at the beginning of a word.
    words: &'static [&'static str],
    /// Files and directories of src/ where they may stand.
    at_home: &'static [&'static str],
    reason: &'static str,
}

const BORDERS: &[Border] = &[
    Border {
        words: &["containerd_client", "k8s_cri", "tonic::", "prost::", "prost_types"],
        at_home: &["containerd/", "cri/"],
        reason: "only containerd and cri speak gRPC and know protobuf's types",
    },
    Border {
        words: &["tokio_tungstenite"],
        at_home: &["cri/"],
        reason: "only cri speaks the WebSocket of a kubelet's streams; the others get chunks from it",
    },
    Border { words: &["reqwest"], at_home: &["registry/"], reason: "only registry speaks HTTP" },
    Border {
        words: &["rustls"],
        at_home: &["registry/", "config/"],
        reason: "only registry and what configures it know TLS",
    },
    Border {
        words: &["clap::", "clap_complete", "clap_mangen"],
        at_home: &["cli/", "main.rs"],
        reason: "only cli knows flags; the engine takes requests",
    },
    Border {
        words: &["netlink_packet", "AddressFamily::NETLINK", "nftables"],
        at_home: &["net/", "sys/"],
        reason: "only net speaks netlink and nftables",
    },
    Border { words: &["tar::"], at_home: &["image/"], reason: "only image knows a tar entry" },
    Border {
        words: &[
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "std::io::stdout",
            "io::stdout",
            "std::io::stderr",
            "io::stderr",
        ],
        at_home: &["output/"],
        reason: "only output writes to the terminal, through Ui; the monitor and the engine return values",
    },
    Border {
        words: &["process::exit", "std::process::ExitCode"],
        at_home: &["main.rs"],
        reason: "only main ends the process; return an Error, its kind fixes the exit code",
    },
    Border {
        words: &["env::var", "env::vars", "env::args", "env::set_var"],
        at_home: &["config/", "main.rs"],
        reason: "only config reads the environment, only main the command line",
    },
    Border {
        words: &["unsafe"],
        at_home: &["sys/"],
        reason: "only sys makes system calls that rustix does not offer",
    },
    Border {
        words: &[".unwrap()", ".expect(", "panic!", "todo!", "unimplemented!"],
        at_home: &[],
        reason: "bad input and broken machines are errors with a next step, not panics",
    },
    Border {
        words: &["indicatif", "tabwriter"],
        at_home: &["cli/", "output/"],
        reason: "progress is a trait in the rooms, the bars live in cli and output",
    },
    Border {
        words: &["block_on"],
        at_home: &[
            "cli/mod.rs",
            "engine/container/aftermath.rs",
            "engine/container/health/process.rs",
            "cli/names.rs",
            "cli/container/logs.rs",
        ],
        reason: "the runtime is started once, at the top; completion and a followed log ask from a thread of their own",
    },
];

/// The rooms from top to bottom. A room names those below it, never those above it.
const ORDER: &[&str] = &[
    "cli",
    "engine",
    "monitor",
    "cri",
    "containerd",
    "registry",
    "image",
    "net",
    "oci",
    "output",
    "config",
    "store",
    "sys",
];

/// What the pure room may not do.
const PURE: &[&str] =
    &["std::fs", "fs::", "std::process", "std::net::Tcp", "tokio", "rustix", "SystemTime", "Instant::now"];

const LINES: usize = 600;
const PARAMETERS: usize = 5;

#[test]
fn rooms_keep_their_borders() {
    let mut faults = String::new();
    for file in sources() {
        let code = file.code.lines().enumerate().map(|(number, line)| (number + 1, line));
        for (number, line) in code {
            for border in BORDERS {
                let home = border.at_home.iter().any(|home| file.path.starts_with(home));
                if let Some(word) = border.words.iter().find(|word| !home && names(line, word)) {
                    let _ = writeln!(faults, "src/{}:{number}: `{word}`: {}", file.path, border.reason);
                }
            }
            if file.path.starts_with("oci/")
                && let Some(word) = PURE.iter().find(|word| names(line, word))
            {
                let _ = writeln!(
                    faults,
                    "src/{}:{number}: `{word}`: oci is pure: the same answer for the same input",
                    file.path
                );
            }
            let room = ORDER.iter().position(|room| file.room() == *room);
            let above =
                ORDER.iter().take(room.unwrap_or(0)).find(|above| names(line, &format!("crate::{above}::")));
            if let Some(above) = above {
                let _ = writeln!(
                    faults,
                    "src/{}:{number}: {} may not name {above}, which stands above it",
                    file.path,
                    file.room()
                );
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn files_and_functions_stay_small() {
    let mut faults = String::new();
    for file in sources() {
        if file.lines > LINES {
            let _ = writeln!(
                faults,
                "src/{}: {} lines, {LINES} at most: a file has one reason to change",
                file.path, file.lines
            );
        }
        for (name, count) in functions(&file.code) {
            if count > PARAMETERS {
                let _ = writeln!(
                    faults,
                    "src/{}: fn {name}: {count} parameters, {PARAMETERS} at most: make them a struct",
                    file.path
                );
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|file| !file.text.starts_with("//!") && file.path != "main.rs")
        .map(|file| format!("src/{}", file.path))
        .collect();
    assert!(silent.is_empty(), "no `//!` in the first line of {silent:#?}");
}

/// One file without its tests.
struct Source {
    /// Below src/.
    path: String,
    text: String,
    /// The text with comments, texts in quotes and test modules blanked, line by line.
    code: String,
    lines: usize,
}

impl Source {
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut sources, mut directories) = (Vec::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("list src").flatten() {
            let path = entry.path();
            let name = path.strip_prefix(&root).expect("below src").display().to_string();
            if path.is_dir() {
                directories.push(path);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("read a source file");
                let tests = name.ends_with("tests.rs") || name.contains("tests/");
                let code = if tests { String::new() } else { without_tests(&blank(&text)) };
                sources.push(Source { path: name, code, lines: text.lines().count(), text });
            }
        }
    }
    assert!(sources.len() > 10, "src holds the crate");
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

/// Whether `word` stands in `line` and is not the end of a longer word.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let touches = |letter: Option<char>| letter.is_some_and(is_word);
        let begins_inside = word.starts_with(is_word) && touches(line[..at].chars().next_back());
        // `env::var` is also meant to find `env::var_os`; a keyword is only itself.
        let goes_on = word == "unsafe" && touches(line[at + word.len()..].chars().next());
        !begins_inside && !goes_on
    })
}

/// The text with comments and texts in quotes as spaces; lines stay where they are.
fn blank(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let hide = |out: &mut String, from: usize, to: usize| {
        out.extend(letters[from..to].iter().map(|letter| if *letter == '\n' { '\n' } else { ' ' }));
    };
    while at < letters.len() {
        let rest = &letters[at..];
        let end = match rest {
            ['/', '/', ..] => at + rest.iter().position(|letter| *letter == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => at + end_of_comment(rest),
            ['"', ..] => at + end_of_text(rest),
            ['r', '"' | '#', ..] if at == 0 || !is_word(letters[at - 1]) || letters[at - 1] == 'b' => {
                at + end_of_raw_text(rest).unwrap_or(0)
            }
            // A letter in quotes, not a lifetime.
            ['\'', '\\', _, ..] => {
                at + 3 + rest[3..].iter().position(|letter| *letter == '\'').unwrap_or(0) + 1
            }
            ['\'', _, '\'', ..] => at + 3,
            _ => at,
        };
        if end > at {
            hide(&mut out, at, end);
            at = end;
        } else {
            out.push(letters[at]);
            at += 1;
        }
    }
    out
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn end_of_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn end_of_text(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn end_of_raw_text(rest: &[char]) -> Option<usize> {
    let fence = rest[1..].iter().take_while(|letter| **letter == '#').count();
    if rest.get(1 + fence) != Some(&'"') {
        return None;
    }
    let mut at = 2 + fence;
    while at < rest.len() {
        if rest[at] == '"'
            && rest[at + 1..].iter().take(fence).filter(|letter| **letter == '#').count() == fence
        {
            return Some(at + 1 + fence);
        }
        at += 1;
    }
    Some(rest.len())
}

/// Code without the items that are only there for tests.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = item.find(['{', ';']).map_or(item.len(), |end| match item.as_bytes()[end] {
            b'{' => end + end_of_block(&item[end..]),
            _ => end + 1,
        });
        out.extend(item[..end].chars().filter(|letter| *letter == '\n'));
        rest = &item[end..];
    }
    out + rest
}

fn end_of_block(code: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The functions' names and how many parameters they take beside `self`.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        let rest = &code[at + 3..];
        let name: String = rest.chars().take_while(|letter| is_word(*letter)).collect();
        if before.is_some_and(is_word) || name.is_empty() {
            continue;
        }
        let after = &rest[name.len()..];
        let open = if after.starts_with('<') { end_of_generics(after) } else { 0 };
        if after[open..].starts_with('(') {
            found.push((name, parameters(&after[open..])));
        }
    }
    found
}

fn end_of_generics(code: &str) -> usize {
    let (mut depth, mut before) = (0, ' ');
    for (at, letter) in code.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
        before = letter;
    }
    code.len()
}

fn parameters(code: &str) -> usize {
    let (mut depth, mut before) = (0, ' ');
    let mut list = vec![String::new()];
    for letter in code.chars() {
        match letter {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' => depth -= 1,
            ',' if depth == 1 => list.push(String::new()),
            _ => list.last_mut().expect("never empty").push(letter),
        }
        if depth == 0 {
            break;
        }
        before = letter;
    }
    let own = |parameter: &String| parameter.trim().trim_start_matches(['&', ' ']).ends_with("self");
    list.iter().filter(|parameter| !parameter.trim().is_empty() && !own(parameter)).count()
}

#[test]
fn the_check_sees_code_and_only_code() {
    let text = r###"
//! println! in a comment
fn a() { let text = "println!(\"x\")"; let raw = r#"unsafe "quoted" "#; let quote = '"'; /* unsafe /* nested */ */ }
fn b<'a, F: Fn(u8) -> u8>(&'a mut self, one: (u8, u8), two: HashMap<u8, u8>, f: F) {}
#[cfg(test)]
mod tests {
    fn c() { x.unwrap(); }
}
fn d() { unsafe_name(); unsafe { e() } }
"###;
    let code = without_tests(&blank(text));
    assert_eq!(code.lines().count(), text.lines().count());
    for hidden in ["println!", ".unwrap()"] {
        assert!(!names(&code, hidden), "{hidden} in {code}");
    }
    let unsafe_lines: Vec<usize> = code
        .lines()
        .enumerate()
        .filter(|(_, line)| names(line, "unsafe"))
        .map(|(number, _)| number)
        .collect();
    assert_eq!(unsafe_lines, [8]);
    assert!(names("use clap::Args;", "clap::") && !names("use my_clap::Args;", "clap::"));
    assert_eq!(functions(&code), [("a".into(), 0), ("b".into(), 3), ("d".into(), 0)]);
}
