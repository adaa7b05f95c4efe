//! Takes out of an output what differs from run to run, so that the rest can be compared as a whole.

use std::path::Path;

/// Replaces ids, digests, times, ages, addresses of containers and the test's directory by their kind:
/// `<id>`, `<digest>`, `<time>`, `<age>`, `<ip>`, `<dir>`. Columns are made one space wide.
pub(crate) fn filter(text: &str, directory: &Path) -> String {
    let text = text.replace(&*directory.to_string_lossy(), "<dir>");
    text.lines().map(filter_line).collect::<Vec<_>>().join("\n")
}

fn filter_line(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        words.push(filter_word(word));
        replace_age(&mut words);
    }
    words.join(" ")
}

/// A word is cut at every letter that an id, a time or an address cannot have.
fn filter_word(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let part_of = |letter: char| letter.is_ascii_alphanumeric() || ".:+-".contains(letter);
        let end = rest.find(|letter| !part_of(letter)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        out.push_str(&filter_piece(piece));
        let mut letters = after.chars();
        out.extend(letters.next());
        rest = letters.as_str();
    }
    out
}

fn filter_piece(piece: &str) -> String {
    if let Some(hash) = piece.strip_prefix("sha256:")
        && is_id(hash)
    {
        return "<digest>".into();
    }
    if is_time(piece) {
        return "<time>".into();
    }
    let (head, tail) = piece.split_once(':').map_or((piece, None), |(head, tail)| (head, Some(tail)));
    if is_container_address(head) {
        return tail.map_or("<ip>".into(), |tail| format!("<ip>:{tail}"));
    }
    let ids: Vec<&str> = piece.split('-').map(|part| if is_id(part) { "<id>" } else { part }).collect();
    ids.join("-")
}

fn is_id(word: &str) -> bool {
    let hexadecimal = word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    hexadecimal && matches!(word.len(), 12 | 64)
}

fn is_time(word: &str) -> bool {
    let shape: String =
        word.chars().take(19).map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    shape == "0000-00-00T00:00:00"
}

fn is_container_address(word: &str) -> bool {
    let address = word.trim_end_matches('.').parse::<std::net::Ipv4Addr>();
    address.is_ok_and(|address| address.is_private())
}

/// "Less than a second", "About a minute", "3 minutes": docker's durations, the last words so far.
fn replace_age(words: &mut Vec<String>) {
    const UNITS: [&str; 7] = ["second", "minute", "hour", "day", "week", "month", "year"];
    let Some(last) = words.last() else { return };
    let Some(end) = UNITS.iter().find_map(|unit| {
        let rest = last.strip_prefix(unit)?;
        Some(rest.strip_prefix('s').unwrap_or(rest).to_owned())
    }) else {
        return;
    };
    let before: Vec<&str> = words.iter().rev().skip(1).map(String::as_str).collect();
    let lead = match before.as_slice() {
        ["a", "than", "Less", ..] => 3,
        ["a" | "an", "About", ..] => 2,
        [count, ..] if count.trim_start_matches('(').parse::<u64>().is_ok() => 1,
        _ => return,
    };
    words.truncate(words.len() - 1 - lead);
    words.push(format!("<age>{end}"));
}

#[test]
fn varying_parts_are_replaced() {
    let id = "0123456789ab".repeat(6)[..64].to_owned();
    let cases = [
        (format!("{id}   busybox"), "<id> busybox".to_owned()),
        (format!("default-{id}"), "default-<id>".into()),
        (format!("sha256:{id},"), "<digest>,".into()),
        ("\"Created\": \"2026-11-23T12:00:00.123Z\",".into(), "\"Created\": \"<time>\",".into()),
        ("Up 3 seconds   0.0.0.0:80->80/tcp".into(), "Up <age> 0.0.0.0:80->80/tcp".into()),
        ("Up Less than a second".into(), "Up <age>".into()),
        ("Exited (0) About a minute ago".into(), "Exited (0) <age> ago".into()),
        ("10.4.0.7/24 and 10.4.0.7:80".into(), "<ip>/24 and <ip>:80".into()),
        ("/tmp/wh-1/run".into(), "<dir>/run".into()),
        ("127.0.0.1 stays".into(), "127.0.0.1 stays".into()),
    ];
    for (given, expected) in cases {
        assert_eq!(filter(&given, Path::new("/tmp/wh-1")), expected);
    }
}
