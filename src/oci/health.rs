//! docker's health check of a container: what was asked for, what the image says, and both put together.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The shell of a `CMD-SHELL` check where the image names no other.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// docker's shortest duration, which is also the shortest that is heeded here.
pub const SHORTEST: i64 = 1_000_000;

/// docker's HealthConfig: durations in nanoseconds, 0 where nobody has said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthCheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`; empty takes the image's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// From the end of one check to the beginning of the next.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// How long one check may take.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// How long failures do not count, unless the container was healthy before.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// The interval during the start period, until the container is healthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl HealthCheck {
    /// `--no-healthcheck`.
    pub fn none() -> Self {
        Self { test: vec!["NONE".into()], ..Self::default() }
    }

    /// The image's HEALTHCHECK from its configuration, as far as it is one: images are made by strangers.
    pub fn of_image(configuration: &Value) -> Option<Self> {
        let check = configuration.pointer("/config/Healthcheck")?.as_object()?;
        let words = check.get("Test").and_then(Value::as_array).into_iter().flatten();
        let number = |name: &str| check.get(name).and_then(Value::as_i64).unwrap_or_default().max(0);
        Some(Self {
            test: words.filter_map(Value::as_str).map(str::to_owned).collect(),
            interval: number("Interval"),
            timeout: number("Timeout"),
            start_period: number("StartPeriod"),
            start_interval: number("StartInterval"),
            retries: number("Retries"),
        })
    }

    /// What the user asked for, completed field by field with what the image says. None where neither says
    /// anything.
    pub fn settle(asked: Option<Self>, image: Option<Self>) -> Option<Self> {
        let (Some(asked), Some(image)) = (&asked, &image) else { return asked.or(image) };
        let either = |asked: i64, image: i64| if asked == 0 { image } else { asked };
        Some(Self {
            test: if asked.test.is_empty() { image.test.clone() } else { asked.test.clone() },
            interval: either(asked.interval, image.interval),
            timeout: either(asked.timeout, image.timeout),
            start_period: either(asked.start_period, image.start_period),
            start_interval: either(asked.start_interval, image.start_interval),
            retries: either(asked.retries, image.retries),
        })
    }

    /// Whether there is anything to run.
    pub fn runs(&self) -> bool {
        matches!(self.test.first().map(String::as_str), Some("CMD" | "CMD-SHELL")) && self.test.len() > 1
    }

    /// The command line of one check; None where there is none. The shell is the image's own, where its
    /// configuration names one.
    pub fn command(&self, configuration: &Value) -> Option<Vec<String>> {
        let (kind, words) = self.test.split_first().filter(|_| self.runs())?;
        if kind == "CMD" {
            return Some(words.to_vec());
        }
        let named = configuration.pointer("/config/Shell").and_then(Value::as_array).into_iter().flatten();
        let mut line: Vec<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
        if line.is_empty() {
            line = SHELL.map(str::to_owned).to_vec();
        }
        line.extend_from_slice(words);
        Some(line)
    }

    /// From the end of one check to the next, docker's default settled.
    pub fn interval(&self) -> Duration {
        duration(self.interval, 30_000)
    }

    /// How long one check may take, docker's default settled.
    pub fn timeout(&self) -> Duration {
        duration(self.timeout, 30_000)
    }

    /// How long failures do not count, docker's default settled.
    pub fn start_period(&self) -> Duration {
        duration(self.start_period, 0)
    }

    /// The interval during the start period, docker's default settled.
    pub fn start_interval(&self) -> Duration {
        duration(self.start_interval, 5_000)
    }

    /// Failures in a row that make it unhealthy, docker's default settled.
    pub fn retries(&self) -> u32 {
        if self.retries > 0 { u32::try_from(self.retries).unwrap_or(u32::MAX) } else { 3 }
    }
}

fn duration(nanoseconds: i64, default_milliseconds: u64) -> Duration {
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds @ 1..) => Duration::from_nanos(nanoseconds.max(SHORTEST.unsigned_abs())),
        _ => Duration::from_millis(default_milliseconds),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_override_the_image_field_by_field() {
        let image = HealthCheck::of_image(&json!({ "config": { "Healthcheck": {
            "Test": ["CMD", "curl", "x"], "Interval": 5_000_000_000_i64, "Retries": 7 } } }));
        let image = image.unwrap();
        let asked = HealthCheck { interval: 1_000_000_000, ..HealthCheck::default() };
        let settled = HealthCheck::settle(Some(asked.clone()), Some(image.clone())).unwrap();
        assert_eq!(settled.test, ["CMD", "curl", "x"]);
        assert_eq!((settled.interval(), settled.retries()), (Duration::from_secs(1), 7));
        assert_eq!(settled.timeout(), Duration::from_secs(30));
        assert_eq!(settled.start_period(), Duration::ZERO);
        assert_eq!(settled.start_interval(), Duration::from_secs(5));
        // As docker shows it: NONE, and what the image says of the rest.
        let off = HealthCheck::settle(Some(HealthCheck::none()), Some(image)).unwrap();
        assert!(!off.runs() && off.retries == 7);
        assert_eq!(HealthCheck::settle(None, None), None);
        assert_eq!(HealthCheck::settle(Some(asked.clone()), None), Some(asked));
        assert_eq!(serde_json::to_value(HealthCheck::none()).unwrap(), json!({ "Test": ["NONE"] }));
    }

    #[test]
    fn commands_by_table() {
        let plain = json!({});
        let bash = json!({ "config": { "Shell": ["/bin/bash", "-ec"] } });
        for (test, image, expected) in [
            (&["CMD", "a", "b c"][..], &plain, Some(vec!["a", "b c"])),
            (&["CMD-SHELL", "a | b"], &plain, Some(vec!["/bin/sh", "-c", "a | b"])),
            (&["CMD-SHELL", "a | b"], &bash, Some(vec!["/bin/bash", "-ec", "a | b"])),
            (&["NONE"], &plain, None),
            (&["CMD"], &plain, None),
            (&["EXEC", "a"], &plain, None),
            (&[], &plain, None),
        ] {
            let check = HealthCheck {
                test: test.iter().map(|word| (*word).to_owned()).collect(),
                ..HealthCheck::default()
            };
            let expected =
                expected.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<String>>());
            assert_eq!(check.command(image), expected, "{test:?}");
        }
    }

    #[test]
    fn what_strangers_write_is_taken_with_care() {
        for config in
            [json!(null), json!([]), json!({ "Test": "curl" }), json!({ "Interval": -5, "Test": [1] })]
        {
            let image = HealthCheck::of_image(&json!({ "config": { "Healthcheck": config } }));
            assert!(image.is_none_or(|check| !check.runs() && check.interval() == Duration::from_secs(30)));
        }
        let check = HealthCheck { interval: 1, ..HealthCheck::default() };
        assert_eq!(check.interval(), Duration::from_millis(1));
    }
}
