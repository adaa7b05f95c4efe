//! Durations as Go writes them: `1h30m`, `1.5s`, `300ms`.

use super::Parsed;
use crate::output::units;

/// A duration in nanoseconds, signed.
pub fn nanoseconds(text: &str) -> Parsed<i64> {
    units::parse_duration(text).map_err(|error| error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("300ms", 300_000_000),
            ("-2us", -2_000),
            ("1µs", 1_000),
            ("7ns", 7),
        ] {
            assert_eq!(nanoseconds(text), Ok(want), "{text}");
        }
        for (text, want) in [
            ("", r#"time: invalid duration """#),
            ("s", r#"time: invalid duration "s""#),
            (".s", r#"time: invalid duration ".s""#),
            ("5", r#"time: missing unit in duration "5""#),
            ("5d", r#"time: unknown unit "d" in duration "5d""#),
            ("1.2.3s", r#"time: invalid duration "1.2.3s""#),
            ("9999999999h", r#"time: invalid duration "9999999999h""#),
            ("é1s", r#"time: invalid duration "é1s""#),
        ] {
            assert_eq!(nanoseconds(text).unwrap_err(), want, "{text}");
        }
    }
}
