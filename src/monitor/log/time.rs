//! Time as Go's RFC3339Nano in UTC: made once for each read, without a time zone database.

use std::fmt;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment, written out.
#[derive(Clone, Copy)]
pub struct Stamp {
    text: [u8; 40],
    length: usize,
    moment: (u64, u32),
}

impl Stamp {
    /// This moment.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(since.as_secs(), since.subsec_nanos())
    }

    /// `seconds` and `nanoseconds` after 1970.
    pub fn at(seconds: u64, nanoseconds: u32) -> Self {
        let (year, month, day) = civil(seconds / 86_400);
        let second = seconds % 86_400;
        let mut stamp = Self { text: [0; 40], length: 0, moment: (seconds, nanoseconds) };
        let mut out = &mut stamp.text[..];
        // A year of up to 12 digits fits; what would not is cut, which no clock shows.
        let _ = write!(
            out,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{nanoseconds:09}",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        let room = out.len();
        let mut length = stamp.text.len() - room;
        while stamp.text[length - 1] == b'0' {
            length -= 1;
        }
        if stamp.text[length - 1] == b'.' {
            length -= 1;
        }
        stamp.text[length.min(39)] = b'Z';
        stamp.length = (length + 1).min(40);
        stamp
    }

    /// Seconds and nanoseconds since 1970.
    pub fn moment(&self) -> (u64, u32) {
        self.moment
    }

    /// `2026-01-02T03:04:05.06Z`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// Year, month and day of the Gregorian calendar, from days since 1970: eras of 400 years that begin in March,
/// so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_it() {
        for (seconds, nanoseconds, expected) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_399, 5, "2000-02-28T23:59:59.000000005Z"),
            (951_782_400, 500_000_000, "2000-02-29T00:00:00.5Z"),
            (1_767_225_599, 999_999_990, "2025-12-31T23:59:59.99999999Z"),
            (4_107_542_400, 1_000, "2100-03-01T00:00:00.000001Z"),
        ] {
            assert_eq!(format!("{:?}", Stamp::at(seconds, nanoseconds)), expected);
        }
    }

    #[test]
    fn every_day_of_four_centuries_agrees_with_jiff() {
        for day in (0..146_097u64).step_by(7) {
            let theirs = jiff::Timestamp::from_second(day as i64 * 86_400).unwrap().to_string();
            assert_eq!(format!("{:?}", Stamp::at(day * 86_400, 0)), theirs);
        }
    }
}
