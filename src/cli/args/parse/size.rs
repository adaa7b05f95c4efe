//! Bytes with a unit (`512m`, `1.5 GiB`) and numbers of CPUs.

use super::Parsed;
use crate::output::units;

/// Bytes in powers of 1024, as [`units::parse_ram`] reads them.
pub fn ram_bytes(text: &str) -> Parsed<i64> {
    units::parse_ram(text).map_err(|error| error.message)
}

/// [`ram_bytes`], or -1 for no limit.
pub fn ram_bytes_or_unlimited(text: &str) -> Parsed<i64> {
    if text == "-1" { Ok(-1) } else { ram_bytes(text) }
}

/// `--cpus`: a decimal (`1.5`) or a fraction (`3/2`), in billionths of a CPU.
pub fn nano_cpus(text: &str) -> Parsed<i64> {
    let wrong = || format!("failed to parse {text} as a rational number");
    let (numerator, denominator) = match text.split_once('/') {
        Some((numerator, denominator)) => {
            let denominator: i128 = denominator.parse().map_err(|_| wrong())?;
            (numerator.parse::<i64>().map_err(|_| wrong())?.into(), denominator)
        }
        None => decimal(text).ok_or_else(wrong)?,
    };
    if denominator <= 0 {
        return Err(wrong());
    }
    let nano = numerator * 1_000_000_000;
    if nano % denominator != 0 {
        return Err("value is too precise".into());
    }
    i64::try_from(nano / denominator).map_err(|_| wrong())
}

/// A decimal as a numerator over a power of ten.
fn decimal(text: &str) -> Option<(i128, i128)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all = format!("{whole}{fraction}");
    let nothing = digits.chars().all(|digit| digit == '.');
    // Eighteen digits are beyond any machine and keep the arithmetic far from overflow.
    if nothing || all.len() > 18 || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = if all.is_empty() { 0 } else { all.parse().ok()? };
    Some((sign * value, 10i128.pow(u32::try_from(fraction.len()).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("32", 32),
            ("32b", 32),
            ("32k", 32 << 10),
            ("32KB", 32 << 10),
            ("32KiB", 32 << 10),
            ("32 Mb", 32 << 20),
            ("32.5m", (32 << 20) + (1 << 19)),
            ("1g", 1 << 30),
            ("2tb", 2 << 40),
            ("3p", 3 << 50),
            (".5k", 512),
            ("0", 0),
        ] {
            assert_eq!(ram_bytes(text), Ok(want), "{text}");
        }
        for (text, want) in [
            ("x", "invalid size: 'x'"),
            ("", "invalid size: ''"),
            ("-1", "invalid size: '-1'"),
            ("32kbs", "invalid suffix: 'kbs'"),
            ("32bk", "invalid suffix: 'bk'"),
            ("32xb", "invalid suffix: 'xb'"),
            ("1.2.3", r#"strconv.ParseFloat: parsing "1.2.3": invalid syntax"#),
            (" ", r#"strconv.ParseFloat: parsing "": invalid syntax"#),
            ("infinity1", r#"strconv.ParseFloat: parsing "infinity1": invalid syntax"#),
        ] {
            assert_eq!(ram_bytes(text).unwrap_err(), want, "{text}");
        }
        assert_eq!(ram_bytes_or_unlimited("-1"), Ok(-1));
    }

    #[test]
    fn cpus() {
        for (text, want) in [
            ("1", 1_000_000_000),
            ("1.5", 1_500_000_000),
            (".25", 250_000_000),
            ("0.000000001", 1),
            ("3/2", 1_500_000_000),
            ("1.50", 1_500_000_000),
            ("-1", -1_000_000_000),
            ("0", 0),
        ] {
            assert_eq!(nano_cpus(text), Ok(want), "{text}");
        }
        assert_eq!(nano_cpus("x").unwrap_err(), "failed to parse x as a rational number");
        assert_eq!(nano_cpus("").unwrap_err(), "failed to parse  as a rational number");
        assert_eq!(nano_cpus(".").unwrap_err(), "failed to parse . as a rational number");
        assert_eq!(nano_cpus("1/0").unwrap_err(), "failed to parse 1/0 as a rational number");
        assert_eq!(nano_cpus("0.0000000001").unwrap_err(), "value is too precise");
        assert!(nano_cpus("99999999999999999").is_err());
    }
}
