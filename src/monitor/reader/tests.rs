//! Logs read back: tails, times, rotations, and followed ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::monitor::log::Driver;
use crate::monitor::log::json_file::JsonFile;
use crate::monitor::log::options::FileOptions;
use crate::monitor::log::time::Stamp;

fn writer(path: &Path, max_size: Option<u64>, max_file: u32, compress: bool) -> JsonFile {
    JsonFile::new(path.to_path_buf(), FileOptions { max_size, max_file, compress }, &BTreeMap::new())
}

fn lines(path: &Path, options: &Options) -> Vec<String> {
    let mut lines = Vec::new();
    read(path, options, &mut |entry| {
        lines.push(String::from_utf8(entry.line.to_vec()).unwrap());
        Ok(())
    })
    .unwrap();
    lines
}

fn numbers(from: u64, to: u64) -> Vec<String> {
    (from..to).map(|number| format!("{number}\n")).collect()
}

fn log() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("log");
    (temp, path)
}

#[test]
fn tails_by_table_over_rotated_and_packed_files() {
    for (max_size, compress) in [(None, false), (Some(60_000), false), (Some(60_000), true)] {
        let (_temp, path) = log();
        let mut writer = writer(&path, max_size, if max_size.is_some() { 100 } else { 1 }, compress);
        for number in 0..5000 {
            writer.write(Stream::Stdout, format!("{number}\n").as_bytes(), &Stamp::at(number, 0));
        }
        writer.finish();
        for tail in [0, 1, 10, 799, 800, 801, 1000, 4999, 5000, 6000] {
            let options = Options { tail: Some(tail), ..Options::default() };
            assert_eq!(
                lines(&path, &options),
                numbers(5000u64.saturating_sub(tail), 5000),
                "{tail} {compress}"
            );
        }
        assert_eq!(lines(&path, &Options::default()), numbers(0, 5000));
    }
}

#[test]
fn streams_and_times_choose() {
    let (_temp, path) = log();
    let mut writer = writer(&path, None, 1, false);
    for second in 0..10 {
        let stream = if second % 2 == 0 { Stream::Stdout } else { Stream::Stderr };
        writer.write(stream, format!("{second}\n").as_bytes(), &Stamp::at(second, 500_000_000));
    }
    writer.finish();
    let time = |text: &str| Some(text.parse().unwrap());
    let all = Options::default();
    for (options, expected) in [
        (Options { stderr: false, ..all.clone() }, "0 2 4 6 8"),
        (Options { stdout: false, tail: Some(3), ..all.clone() }, "7 9"),
        (Options { since: time("1970-01-01T00:00:07.5Z"), ..all.clone() }, "7 8 9"),
        (Options { since: time("1970-01-01T00:00:07.500000001Z"), ..all.clone() }, "8 9"),
        (Options { until: time("1970-01-01T00:00:02Z"), ..all.clone() }, "0 1"),
        (Options { until: time("1970-01-01T00:00:02.5Z"), ..all.clone() }, "0 1 2"),
        (Options { since: time("1970-01-01T00:00:05Z"), until: time("1970-01-01T00:00:06Z"), ..all }, "5"),
    ] {
        let got: String = lines(&path, &options).concat();
        assert_eq!(got.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{options:?}");
    }
}

#[test]
fn bad_lines_are_left_out_and_a_missing_log_is_empty() {
    let (_temp, path) = log();
    assert!(lines(&path, &Options::default()).is_empty());
    let entry = |text: &str| {
        format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}\n")
    };
    let mut text = entry("1") + "{\"log\":\"half\n\n" + &entry("2");
    text += &"x".repeat(5 * 1024 * 1024);
    text += "\n";
    text += &entry(&"y".repeat(1024 * 1024));
    text += "{\"log\":\"4\\n\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"b\"},\"time\":\"2026-01-02T03:04:05Z\"}\n";
    text += &entry("5")[..20];
    std::fs::write(&path, text).unwrap();
    let got = lines(&path, &Options::default());
    assert_eq!(got.len(), 4);
    assert_eq!((got[1].as_str(), got[2].len(), got[3].as_str()), ("2\n", 1024 * 1024 + 1, "4\n"));
}

#[test]
fn following_misses_nothing_over_rotations_truncations_and_restarts() {
    for (max_size, max_file, compress) in
        [(None, 1, false), (Some(20_000), 50, false), (Some(20_000), 50, true)]
    {
        let (_temp, path) = log();
        let over = Arc::new(AtomicBool::new(false));
        let written = {
            let (path, over) = (path.clone(), over.clone());
            std::thread::spawn(move || {
                // Two monitors after one another: the container was started again.
                for half in 0..2 {
                    let mut writer = writer(&path, max_size, max_file, compress);
                    for number in half * 2000..(half + 1) * 2000 {
                        writer.write(Stream::Stdout, format!("{number}\n").as_bytes(), &Stamp::now());
                        if number % 50 == 0 {
                            writer.flush();
                            while writer.work() {}
                            std::thread::yield_now();
                        }
                    }
                    writer.finish();
                }
                over.store(true, Ordering::SeqCst);
            })
        };
        let mut got = Vec::new();
        follow(&path, &Options::default(), &mut |_| over.load(Ordering::SeqCst), &mut |entry| {
            got.push(String::from_utf8(entry.line.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
        written.join().unwrap();
        assert_eq!(got.len(), 4000, "{max_size:?} {compress}");
        assert!(got == numbers(0, 4000), "{max_size:?} {compress}");
    }
}

#[test]
fn following_finds_its_place_after_rotations_that_were_packed() {
    let (_temp, path) = log();
    let mut writer = writer(&path, Some(5_000), 10, true);
    let mut written = 0;
    let mut write = |count: u64| {
        for _ in 0..count {
            writer.write(Stream::Stdout, format!("{written}\n").as_bytes(), &Stamp::at(written, 0));
            written += 1;
        }
        writer.flush();
        while writer.work() {}
    };
    // A file is packed already; then, while the follower rests, the one that it holds and two more.
    write(100);
    let mut asked = 0;
    let mut ended = |_: bool| {
        asked += 1;
        if asked == 1 {
            write(250);
        }
        asked == 3
    };
    let mut got = Vec::new();
    follow(&path, &Options::default(), &mut ended, &mut |entry| {
        got.push(String::from_utf8(entry.line.to_vec()).unwrap());
        Ok(())
    })
    .unwrap();
    assert_eq!(got, numbers(0, 350));
}

#[test]
fn following_sees_a_file_that_starts_over() {
    let (_temp, path) = log();
    let mut writer = writer(&path, Some(1_000_000), 1, false);
    writer.write(Stream::Stdout, b"before\n", &Stamp::now());
    writer.flush();
    let mut got = Vec::new();
    let mut asked = 0;
    let mut ended = |_: bool| {
        asked += 1;
        match asked {
            1 => {
                std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
                false
            }
            2 => {
                let mut writer = self::writer(&path, None, 1, false);
                writer.write(Stream::Stdout, b"after\n", &Stamp::now());
                writer.flush();
                false
            }
            _ => true,
        }
    };
    follow(&path, &Options { tail: Some(5), ..Options::default() }, &mut ended, &mut |entry| {
        got.push(entry.line.to_vec());
        Ok(())
    })
    .unwrap();
    assert_eq!(got, [b"before\n".to_vec(), b"after\n".to_vec()]);
}

#[test]
fn following_wakes_at_once_and_ends_with_until() {
    let (_temp, path) = log();
    let mut writer = writer(&path, None, 1, false);
    let started = Instant::now();
    let options = Options { until: Some("2000-01-01T00:00:00Z".parse().unwrap()), ..Options::default() };
    std::thread::scope(|scope| {
        scope.spawn(|| follow(&path, &options, &mut |_| false, &mut |_| Ok(())).unwrap());
        writer.write(Stream::Stdout, b"late\n", &Stamp::now());
        writer.flush();
    });
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_sink_that_fails_ends_the_reading() {
    let (_temp, path) = log();
    let mut writer = writer(&path, None, 1, false);
    writer.write(Stream::Stdout, b"1\n2\n", &Stamp::now());
    writer.finish();
    let mut seen = 0;
    let result = read(&path, &Options::default(), &mut |_| {
        seen += 1;
        Err(crate::Error::new(crate::Kind::BrokenPipe, ""))
    });
    assert!(result.is_err() && seen == 1);
}
