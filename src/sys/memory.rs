//! The memory of a process that mostly waits.
#![expect(unsafe_code, reason = "the kernel's advice on memory has no safe form")]

use rustix::mm::{Advice, madvise};

/// Takes this program's own code and constants out of memory; what is needed again is read from the page cache.
/// The kernel maps 64 KiB around each page that is touched, so a short start leaves megabytes that a long wait
/// does not need. Whatever cannot be found out or done is left as it is.
pub fn release_program() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(access)) = (fields.next(), fields.next()) else { return };
        // The program's file is mapped in this order: constants, code, then what the start-up code has written to
        // and protected afterwards, which must not be read from the file again.
        if !matches!(access, "r--p" | "r-xp") {
            return;
        }
        let bounds = range.split_once('-').and_then(|(start, end)| {
            Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
        });
        let Some((start, end)) = bounds else { return };
        // SAFETY: a private mapping of a file that cannot change while it is executed, never writable up to
        // here: its pages are read again from the file with the same content.
        let _ = unsafe { madvise(start as *mut std::ffi::c_void, end - start, Advice::LinuxDontNeed) };
        if access == "r-xp" {
            return;
        }
    }
}
