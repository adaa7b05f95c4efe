//! Programs as files: whether one runs by itself, and what a busybox can do.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// More headers than any program has.
const MOST_HEADERS: u16 = 128;
/// The header that names the interpreter, which loads the libraries.
const INTERPRETER: u32 = 3;

/// Whether the file is a program of this machine's kind that needs no libraries. False for what cannot be read.
pub fn is_static(path: &Path) -> bool {
    File::open(path).and_then(|file| reads_static(&file)).unwrap_or(false)
}

fn reads_static(file: &File) -> io::Result<bool> {
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0)?;
    let native = if cfg!(target_endian = "little") { 1 } else { 2 };
    // 64 bits alone: nobody has a toolbox of older programs.
    if head[..4] != *b"\x7fELF" || head[4] != 2 || head[5] != native {
        return Ok(false);
    }
    let half = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
    let mut table = [0; 8];
    table.copy_from_slice(&head[32..40]);
    let (table, size, count) = (u64::from_ne_bytes(table), half(54), half(56));
    if count == 0 || count > MOST_HEADERS {
        return Ok(false);
    }
    for index in 0..count {
        let mut kind = [0; 4];
        file.read_exact_at(&mut kind, table.saturating_add(u64::from(index) * u64::from(size)))?;
        if u32::from_ne_bytes(kind) == INTERPRETER {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the file can be executed by its owner.
pub fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o100 != 0)
}

/// The programs that a busybox is, as it tells itself: plain names.
///
/// # Errors
/// It cannot be started, or does not know the question.
pub fn applets(busybox: &Path) -> io::Result<Vec<String>> {
    let told = Command::new(busybox).arg("--list").stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    if !told.status.success() {
        return Err(io::Error::other("it does not list its programs"));
    }
    let text = String::from_utf8_lossy(&told.stdout);
    Ok(text.lines().filter(|name| is_plain(name)).map(str::to_owned).collect())
}

fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() < 256 && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_not_static() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        let mut whole = vec![0; 64 + 56];
        whole[..6].copy_from_slice(b"\x7fELF\x02\x01");
        whole[32] = 64;
        whole[54] = 56;
        whole[56] = 1;
        whole[64] = 1;
        let changed = |at: usize, to: u8| {
            let mut bytes = whole.clone();
            bytes[at] = to;
            bytes
        };
        for (bytes, expected) in [
            (whole.clone(), true),
            (changed(64, 3), false),
            (changed(4, 1), false),
            (changed(56, 0), false),
            (changed(57, 255), false),
            (changed(39, 255), false),
            (whole[..100].to_vec(), true),
            (whole[..66].to_vec(), false),
            (b"#!/bin/sh\n".to_vec(), false),
            (Vec::new(), false),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(is_static(&path), expected, "{bytes:?}");
        }
        assert!(!is_static(Path::new("/nowhere")));
        assert!(!is_executable(&path));
        assert!(is_executable(Path::new("/bin/sh")));
    }

    #[test]
    fn names_of_applets_are_plain() {
        for (name, plain) in [("sh", true), ("[[", true), ("", false), ("..", false), ("a/b", false)] {
            assert_eq!(is_plain(name), plain, "{name:?}");
        }
        assert!(applets(Path::new("/bin/false")).is_err());
        assert!(applets(Path::new("/nowhere")).is_err());
    }
}
