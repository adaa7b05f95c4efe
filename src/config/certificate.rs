//! What is asked of a certificate beside handing it to TLS: when it ends, and who has made it.

use base64::Engine as _;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the first certificate in a PEM text, in seconds since 1970. None where there is none that can be read.
pub fn ends(pem: &str) -> Option<i64> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body: String = body.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
    let (_, validity) = issuer_and_rest(&der)?;
    let (SEQUENCE, validity, _) = element(validity)? else { return None };
    let (kind, text, _) = element(element(validity)?.2)?;
    time(kind, std::str::from_utf8(text).ok()?)
}

/// Who has made a certificate (DER): the name as it is written there, DER too. None where there is none that can be read.
pub fn issuer(der: &[u8]) -> Option<&[u8]> {
    Some(issuer_and_rest(der)?.0)
}

/// The issuer's name, and what follows it: validity, …
fn issuer_and_rest(der: &[u8]) -> Option<(&[u8], &[u8])> {
    // Certificate, and in it what is signed: version, serial number, algorithm, issuer, validity, …
    let (_, certificate, _) = element(der)?;
    let (_, mut signed, _) = element(certificate)?;
    if signed.first() == Some(&VERSION) {
        signed = element(signed)?.2;
    }
    for _ in 0..2 {
        signed = element(signed)?.2;
    }
    let rest = element(signed)?.2;
    Some((signed.get(..signed.len() - rest.len())?, rest))
}

/// The first element of some DER: its tag, its content, what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length, rest @ ..] = der else { return None };
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f).min(8))?;
        (
            digits
                .iter()
                .try_fold(0_usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))?,
            rest,
        )
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `260102030405Z`, or with four digits of the year.
fn time(kind: u8, text: &str) -> Option<i64> {
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let date = jiff::civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl req -x509 -newkey ec … -not_after 20301231235959Z`, whose key nobody kept.
    const CERTIFICATE: &str = include_str!("certificate_test.pem");

    #[test]
    fn the_end_is_read() {
        let end = ends(CERTIFICATE).unwrap();
        assert_eq!(jiff::Timestamp::from_second(end).unwrap().to_string()[..4], *"2036");
        for damaged in
            ["", "x", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", &CERTIFICATE[..200]]
        {
            assert_eq!(ends(damaged), None);
        }
        assert_eq!(time(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(time(UTC_TIME, "991231235959Z"), Some(946_684_799));
    }
}
