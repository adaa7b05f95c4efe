//! Whether and when a container starts again: docker's restart policies and its back-off, as a pure function.

use std::time::Duration;

use crate::oci::request::RestartPolicy;

/// docker's first delay.
pub const FIRST_DELAY: Duration = Duration::from_millis(100);
/// docker's longest delay.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A container that ran this long starts again after the first delay.
pub const SETTLED: Duration = Duration::from_secs(10);

/// How a run ended, and how the ones before it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// The init process's exit code.
    pub exit_code: u32,
    /// `stop`, `kill` or `rm` was asked for.
    pub stopped_by_user: bool,
    /// How often the policy has started it again since the user did.
    pub restart_count: u32,
    /// The delay before this run; zero when the user started it. docker's back-off grows from it, not from
    /// the count, so a container that ran for a day does not wait a minute after its first crash.
    pub last_delay: Duration,
    /// How long this run was.
    pub uptime: Duration,
}

/// The delay after which `policy` starts the container again; None when it stays stopped.
pub fn decide(policy: RestartPolicy, ended: &Ended) -> Option<Duration> {
    if ended.stopped_by_user {
        return None;
    }
    let again = match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure(most) => ended.exit_code != 0 && (most == 0 || ended.restart_count < most),
    };
    again.then(|| {
        if ended.last_delay.is_zero() || ended.uptime >= SETTLED {
            FIRST_DELAY
        } else {
            (ended.last_delay * 2).min(LONGEST_DELAY)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_by_table() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        let yes = Some(FIRST_DELAY);
        for (policy, exit_code, stopped_by_user, restart_count, expected) in [
            (No, 1, false, 0, None),
            (Always, 0, false, 7, yes),
            (Always, 0, true, 0, None),
            (UnlessStopped, 0, false, 0, yes),
            (UnlessStopped, 137, true, 0, None),
            (OnFailure(0), 0, false, 0, None),
            (OnFailure(0), 1, false, 1000, yes),
            (OnFailure(3), 1, false, 2, yes),
            (OnFailure(3), 1, false, 3, None),
            (OnFailure(3), 1, true, 0, None),
        ] {
            let ended = Ended { exit_code, stopped_by_user, restart_count, ..Ended::default() };
            assert_eq!(decide(policy, &ended), expected, "{policy:?} {ended:?}");
        }
    }

    #[test]
    fn delays_double_to_a_minute_and_start_over_after_ten_seconds() {
        let mut ended = Ended::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            ended.last_delay = decide(RestartPolicy::Always, &ended).unwrap();
            delays.push(ended.last_delay.as_millis());
        }
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[9..], [51_200, 60_000, 60_000]);
        ended.uptime = SETTLED;
        assert_eq!(decide(RestartPolicy::Always, &ended), Some(FIRST_DELAY));
    }
}
