//! Points in time as crictl shows them; CRI tells them in nanoseconds since 1970.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::output::units;

fn moment(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `2 minutes ago`.
pub(super) fn ago(nanoseconds: i64) -> String {
    let passed = Timestamp::now().duration_since(moment(nanoseconds));
    units::ago(Duration::try_from(passed).unwrap_or_default())
}

/// As Go prints a time.
pub(super) fn full(nanoseconds: i64) -> String {
    units::go_time(moment(nanoseconds), &TimeZone::system())
}

/// In RFC 3339; nothing is Go's zero time.
pub(super) fn rfc3339(nanoseconds: Option<i64>) -> String {
    match nanoseconds {
        Some(nanoseconds) => units::rfc3339_nano(moment(nanoseconds), &TimeZone::system()),
        None => "0001-01-01T00:00:00Z".into(),
    }
}
