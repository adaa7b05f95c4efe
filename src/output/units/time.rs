//! Points in time: as Go prints them, and as `--since` and `--until` take them.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::parse_duration;
use crate::output::notation::quote;
use crate::{Error, Result};

/// As Go prints a time (docker's `CreatedAt`): `2006-01-02 15:04:05.999999999 -0700 MST` in `zone`.
pub fn go_time(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.f %z %Z").to_string()
}

/// Go's `RFC3339Nano` in `zone`: no trailing zeros, `Z` for UTC.
pub fn rfc3339_nano(time: Timestamp, zone: &TimeZone) -> String {
    let zoned = time.to_zoned(zone.clone());
    let local = zoned.strftime("%Y-%m-%dT%H:%M:%S%.f");
    if zoned.offset() == Offset::UTC {
        format!("{local}Z")
    } else {
        format!("{local}{}", zoned.strftime("%:z"))
    }
}

/// Reads `--since` and `--until`: a Go duration before `now`, RFC 3339 in docker's shortened forms (without an
/// offset: in the zone's offset of `now`), or unix seconds with a fraction.
pub fn parse_moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp> {
    let invalid = || {
        Error::usage(format!("failed to parse value as time or duration: {}", quote(text)))
            .hint("give a duration such as 10m, a time such as 2006-01-02T15:04:05, or unix seconds")
    };
    if let (false, Ok(back)) = (text == "0", parse_duration(text)) {
        let then = now.checked_sub(SignedDuration::from_nanos(back)).map_err(|_| invalid())?;
        // docker sends whole seconds for a duration.
        return Timestamp::from_second(then.as_second()).map_err(|_| invalid());
    }
    calendar(text, || zone.to_offset(now)).or_else(|| unix(text)).ok_or_else(invalid)
}

/// `2006-01-02[T15[:04[:05[.999]]]][Z|±07:00]`.
fn calendar(text: &str, local: impl Fn() -> Offset) -> Option<Timestamp> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    let (time, rest) = match rest.strip_prefix('T') {
        Some(rest) => clock(rest)?,
        None => ((0, 0, 0, 0), rest),
    };
    let offset = match rest {
        "" => local(),
        "Z" | "z" => Offset::UTC,
        _ => {
            let sign = if rest.starts_with('-') { -1 } else { 1 };
            let (hours, rest) = digits(rest.strip_prefix(['+', '-'])?, 2)?;
            let (minutes, rest) = digits(rest.strip_prefix(':')?, 2).filter(|(minutes, _)| *minutes < 60)?;
            let seconds = sign * (hours * 3600 + minutes * 60);
            Offset::from_seconds(rest.is_empty().then_some(seconds)?).ok()?
        }
    };
    let (hour, minute, second, nanosecond) = time;
    let time = jiff::civil::Time::new(hour as i8, minute as i8, second as i8, nanosecond).ok()?;
    offset.to_timestamp(DateTime::from_parts(date, time)).ok()
}

type Clock = (i32, i32, i32, i32);

/// `15[:04[:05[.999999999]]]`; the hour may have one digit, as Go allows.
fn clock(text: &str) -> Option<(Clock, &str)> {
    let (hour, rest) = digits(text, 2).or_else(|| digits(text, 1))?;
    let Some(rest) = rest.strip_prefix(':') else { return Some(((hour, 0, 0, 0), rest)) };
    let (minute, rest) = digits(rest, 2)?;
    let Some(rest) = rest.strip_prefix(':') else { return Some(((hour, minute, 0, 0), rest)) };
    let (second, rest) = digits(rest, 2)?;
    let Some(rest) = rest.strip_prefix('.') else { return Some(((hour, minute, second, 0), rest)) };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, rest) = rest.split_at(length);
    Some(((hour, minute, second, nanoseconds(fraction)?), rest))
}

/// `1136073600[.000000001]`; a time beyond the year 9999 is its end.
fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').map_or((text, None), |(s, f)| (s, Some(f)));
    let nanosecond = fraction.map_or(Some(0), nanoseconds)?;
    let seconds: u64 = seconds.parse().ok()?;
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::new(seconds, nanosecond).ok());
    Some(time.unwrap_or(Timestamp::MAX))
}

/// The digits behind a decimal point as nanoseconds; what is beyond nine digits is cut.
fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()
}

fn digits(text: &str, count: usize) -> Option<(i32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse().ok().map(|number| (number, rest)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn times_are_gos() {
        let summer = Timestamp::new(1_720_000_000, 120_000_000).unwrap();
        assert_eq!(go_time(summer, &TimeZone::UTC), "2024-07-03 09:46:40.12 +0000 UTC");
        assert_eq!(go_time(summer, &berlin()), "2024-07-03 11:46:40.12 +0200 CEST");
        assert_eq!(rfc3339_nano(summer, &TimeZone::UTC), "2024-07-03T09:46:40.12Z");
        assert_eq!(rfc3339_nano(summer, &berlin()), "2024-07-03T11:46:40.12+02:00");
        let whole = Timestamp::from_second(0).unwrap();
        assert_eq!(go_time(whole, &TimeZone::UTC), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(rfc3339_nano(whole, &TimeZone::UTC), "1970-01-01T00:00:00Z");
        let zero: Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(rfc3339_nano(zero, &TimeZone::UTC), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn moments_are_read_as_docker_does() {
        let now = Timestamp::new(1_136_073_600, 5).unwrap();
        let read = |text: &str| {
            parse_moment(text, now, &TimeZone::UTC).ok().map(|t| (t.as_second(), t.subsec_nanosecond()))
        };
        for (text, seconds, nanoseconds) in [
            ("2006-01-02T15:04:05.999999999+07:00", 1_136_189_045, 999_999_999),
            ("2006-01-02T15:04:05.999999999Z", 1_136_214_245, 999_999_999),
            ("2006-01-02T15:04:05.999999999", 1_136_214_245, 999_999_999),
            ("2006-01-02T15:04:05Z", 1_136_214_245, 0),
            ("2006-01-02T15:04:05", 1_136_214_245, 0),
            ("2006-01-02T15:04Z", 1_136_214_240, 0),
            ("2006-01-02T15:04+00:00", 1_136_214_240, 0),
            ("2006-01-02T15:04-00:00", 1_136_214_240, 0),
            ("2006-01-02T15:04", 1_136_214_240, 0),
            ("2006-01-02T15Z", 1_136_214_000, 0),
            ("2006-01-02T15", 1_136_214_000, 0),
            ("2006-01-02T1Z", 1_136_163_600, 0),
            ("2006-01-02T1", 1_136_163_600, 0),
            ("2006-01-02+00:00", 1_136_160_000, 0),
            ("2006-01-02-00:01", 1_136_160_060, 0),
            ("2006-01-02Z", 1_136_160_000, 0),
            ("2006-01-02", 1_136_160_000, 0),
            ("1136073600", 1_136_073_600, 0),
            ("1136073600.000000001", 1_136_073_600, 1),
            ("1136073600.0000000009", 1_136_073_600, 0),
            ("1136073600.00000001", 1_136_073_600, 10),
            ("0", 0, 0),
            ("9136073600123", Timestamp::MAX.as_second(), 999_999_999),
            ("1m", 1_136_073_540, 0),
            ("1.5h", 1_136_068_200, 0),
            ("1h30m", 1_136_068_200, 0),
        ] {
            assert_eq!(read(text), Some((seconds, nanoseconds)), "{text}");
        }
        for text in [
            "2006-01-02T15:04:0Z",
            "2006-01-02T15:04:0",
            "2006-01-02T15:0Z",
            "2006-01-02TZ",
            "2006-01-02T",
            "2006-13-02",
            "1136073600.bar",
            "-1136073600",
            "2006-01-02T15:04+07:60",
            "invalid",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let local = parse_moment("2006-01-02", now, &berlin()).unwrap();
        assert_eq!(local.as_second(), 1_136_160_000 - 3600);
    }
}
