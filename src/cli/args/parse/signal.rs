//! `--stop-signal`: whether a text names a signal of Linux.

use super::Parsed;

const NAMES: [&str; 37] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX", "UNUSED",
];

/// A name with or without `SIG` in either case, `RTMIN+n`, `RTMAX-n`, or a number from 1 to 64.
pub fn check(text: &str) -> Parsed<()> {
    let wrong = || format!("invalid signal: {text}");
    if let Ok(number) = text.parse::<u8>() {
        return if (1..=64).contains(&number) { Ok(()) } else { Err(wrong()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = name
        .strip_prefix("RTMIN+")
        .map(|offset| (offset, 15))
        .or_else(|| name.strip_prefix("RTMAX-").map(|offset| (offset, 14)))
        .is_some_and(|(offset, most)| offset.parse::<u8>().is_ok_and(|offset| (1..=most).contains(&offset)));
    if realtime || NAMES.contains(&name) { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals() {
        for text in ["TERM", "SIGTERM", "sigusr1", "9", "64", "RTMIN+3", "SIGRTMAX-1", "rtmin"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in ["", "0", "65", "SIG", "SIGNOPE", "RTMIN+99", "RTMIN+", "-9"] {
            assert_eq!(check(text).unwrap_err(), format!("invalid signal: {text}"));
        }
    }
}
