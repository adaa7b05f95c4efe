//! Durations: Go's notation ("1h30m0s") and docker's words ("About a minute").

use std::time::Duration;

use crate::output::notation::quote;
use crate::{Error, Result};

/// A duration in docker's words: `Less than a second`, `3 seconds`, `About an hour`, `2 weeks`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// [`human_duration`] with docker's ` ago`.
pub fn ago(duration: Duration) -> String {
    format!("{} ago", human_duration(duration))
}

/// Nanoseconds as Go prints a duration: `1h30m0s`, `100ms`, `1.5µs`, `0s`.
pub fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    if total == 0 {
        return "0s".into();
    }
    if total < 1_000_000_000 {
        let (unit, name) = match total {
            ..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(total, unit));
    }
    let (hours, rest) = (total / 3_600_000_000_000, total % 3_600_000_000_000);
    let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
    let seconds = decimal(rest, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / unit` with as many decimals as there are; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{fraction:0digits$}").trim_end_matches('0'))
}

/// Reads Go's notation (`300ms`, `-1.5h`, `2h45m`) as nanoseconds.
pub fn parse_duration(text: &str) -> Result<i64> {
    let invalid = || Error::usage(format!("time: invalid duration {}", quote(text)));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |byte| !byte.is_ascii_digit() && byte != b'.');
        let (name, after) = split_where(after, |byte| byte.is_ascii_digit() || byte == b'.');
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        if name.is_empty() {
            return Err(Error::usage(format!("time: missing unit in duration {}", quote(text))));
        }
        let unit = unit(name).ok_or_else(|| {
            Error::usage(format!("time: unknown unit {} in duration {}", quote(name), quote(text)))
        })?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        total = whole
            .checked_mul(unit)
            .and_then(|part| part.checked_add(part_of(fraction, unit)))
            .and_then(|part| part.checked_add(total))
            .filter(|total| *total <= 1 << 63)
            .ok_or_else(invalid)?;
        rest = after;
    }
    let value = if negative { 0i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
    value.ok_or_else(invalid)
}

fn split_where(text: &str, stop: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(stop).unwrap_or(text.len()))
}

fn unit(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `0.fraction` of `unit`, in whole nanoseconds, without the digits that no longer fit. In floating point, as Go
/// does: a third of an hour with enough threes is 20 minutes.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in fraction.bytes().filter(u8::is_ascii_digit) {
        if value > (i64::MAX as u64) / 10 {
            break;
        }
        value = value * 10 + u64::from(digit - b'0');
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_dockers_words() {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        for (seconds, expected) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (3 * MINUTE, "3 minutes"),
            (35 * MINUTE + 40, "35 minutes"),
            (59 * MINUTE, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 29 * MINUTE, "About an hour"),
            (HOUR + 31 * MINUTE, "2 hours"),
            (3 * HOUR + 29 * MINUTE, "3 hours"),
            (3 * HOUR + 31 * MINUTE, "4 hours"),
            (DAY + 12 * HOUR, "36 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY + 5 * HOUR, "13 days"),
            (18 * DAY, "2 weeks"),
            (30 * DAY, "4 weeks"),
            (44 * DAY, "6 weeks"),
            (60 * DAY, "2 months"),
            (74 * DAY, "2 months"),
            (23 * 30 * DAY, "23 months"),
            (24 * 30 * DAY + 14 * DAY, "2 years"),
            (3 * 365 * DAY + 60 * DAY, "3 years"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), expected, "{seconds}");
        }
        assert_eq!(ago(Duration::from_millis(450)), "Less than a second ago");
    }

    #[test]
    fn durations_are_gos_notation() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (100_000_000, "100ms"),
            (3_300_000_000, "3.3s"),
            (30_000_000_000, "30s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (5_400_000_000_000, "1h30m0s"),
            (-90_000_000_000, "-1m30s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(go_duration(nanoseconds), expected);
            assert_eq!(parse_duration(expected).map_err(|e| e.message), Ok(nanoseconds));
        }
    }

    #[test]
    fn durations_are_read_as_go_does() {
        for (text, expected) in [
            ("0", 0),
            ("+5s", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("12µs", 12_000),
            ("12us", 12_000),
            ("39h9m14.425s", 140_954_425_000_000),
            ("0.3333333333333333333h", 1_200_000_000_000),
        ] {
            assert_eq!(parse_duration(text).map_err(|e| e.message), Ok(expected), "{text}");
        }
        for (text, message) in [
            ("", "time: invalid duration \"\""),
            ("3", "time: missing unit in duration \"3\""),
            ("-", "time: invalid duration \"-\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            ("5d", "time: unknown unit \"d\" in duration \"5d\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("99999999999h", "time: invalid duration \"99999999999h\""),
        ] {
            assert_eq!(parse_duration(text).map_err(|e| e.message), Err(message.to_string()), "{text}");
        }
    }
}
