//! The journal on a real directory.

use std::io::Write;
use std::time::Duration;

use super::*;

fn actions(reader: &mut Reader) -> Vec<String> {
    let mut actions = Vec::new();
    reader.read(&mut |event| actions.push(event.action)).unwrap();
    actions
}

fn event(action: &str) -> Event {
    Event::new(Kind::Container, action, "id").with("name", "web")
}

#[test]
fn what_is_appended_is_read_once_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::new(&directory.path().join("deep/events"));
    let mut reader = journal.reader().unwrap();
    assert!(actions(&mut reader).is_empty());
    journal.append(&[event("create"), event("start")]).unwrap();
    journal.append(&[event("die")]).unwrap();
    assert_eq!(actions(&mut reader), ["create", "start", "die"]);
    assert!(actions(&mut reader).is_empty());
    assert_eq!(actions(&mut journal.reader().unwrap()).len(), 3);
}

#[test]
fn a_reader_wakes() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::new(directory.path());
    let mut reader = journal.reader().unwrap();
    let writer = std::thread::spawn(move || journal.append(&[event("start")]));
    let mut seen = Vec::new();
    while seen.is_empty() {
        reader.wait(Duration::from_secs(10));
        seen = actions(&mut reader);
    }
    writer.join().unwrap().unwrap();
}

#[test]
fn a_cut_line_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::new(directory.path());
    journal.append(&[event("create")]).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(journal.current()).unwrap();
    file.write_all(b"\n{\"Type\":\"container\",\"Acti").unwrap();
    journal.append(&[event("start")]).unwrap();
    assert_eq!(actions(&mut journal.reader().unwrap()), ["create", "start"]);
}

#[test]
fn it_is_bounded_and_a_reader_sees_over_the_turn() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::new(directory.path());
    let mut reader = journal.reader().unwrap();
    let large = event("update").with("label", "x".repeat(60_000));
    let mut seen = 0;
    for _ in 0..200 {
        journal.append(std::slice::from_ref(&large)).unwrap();
        seen += actions(&mut reader).len();
    }
    assert_eq!(seen, 200);
    let kept: u64 = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept < 2 * (LARGEST_FILE + LONGEST_LINE as u64), "{kept}");
    // An event that is too long loses what makes it so.
    journal.append(&[event("rename").with("label", "x".repeat(70_000))]).unwrap();
    let mut last = None;
    reader.read(&mut |event| last = Some(event)).unwrap();
    assert_eq!(last.unwrap().actor.attributes.into_keys().collect::<Vec<_>>(), ["name"]);
}

#[test]
fn the_schema_is_dockers() {
    let event = event("start").at(jiff::Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap());
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"Type":"container","Action":"start","Actor":{"ID":"id","Attributes":{"name":"web"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}"#
    );
}
