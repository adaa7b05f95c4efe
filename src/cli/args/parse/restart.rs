//! `--restart`.

use super::Parsed;
use crate::oci::request::RestartPolicy;

/// `no`, `always`, `unless-stopped`, `on-failure[:n]`.
pub fn policy(text: &str) -> Parsed<RestartPolicy> {
    let (name, count) = match text.split_once(':') {
        Some(("", _)) => return Err("invalid restart policy format: no policy provided before colon".into()),
        Some((name, count)) => (name, count),
        None => (text, ""),
    };
    let count: i32 = if count.is_empty() {
        0
    } else {
        count
            .parse()
            .map_err(|_| "invalid restart policy format: maximum retry count must be an integer".to_owned())?
    };
    let policy = match name {
        "" | "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => {
            let count = u32::try_from(count)
                .map_err(|_| "invalid restart policy: maximum retry count cannot be negative".to_owned())?;
            return Ok(RestartPolicy::OnFailure(count));
        }
        _ => {
            return Err(format!(
                "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or \
                 'unless-stopped'"
            ));
        }
    };
    if count != 0 {
        return Err("invalid restart policy: maximum retry count can only be used with 'on-failure'".into());
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        for (text, want) in [
            ("", RestartPolicy::No),
            ("no", RestartPolicy::No),
            ("always", RestartPolicy::Always),
            ("always:", RestartPolicy::Always),
            ("unless-stopped", RestartPolicy::UnlessStopped),
            ("on-failure", RestartPolicy::OnFailure(0)),
            ("on-failure:1", RestartPolicy::OnFailure(1)),
        ] {
            assert_eq!(policy(text), Ok(want), "{text}");
        }
        for (text, want) in [
            (":1", "invalid restart policy format: no policy provided before colon"),
            ("on-failure:invalid", "invalid restart policy format: maximum retry count must be an integer"),
            ("on-failure:1:2", "invalid restart policy format: maximum retry count must be an integer"),
            ("on-failure:-1", "invalid restart policy: maximum retry count cannot be negative"),
            ("always:2", "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
        ] {
            assert_eq!(policy(text).unwrap_err(), want, "{text}");
        }
        assert!(policy("never").unwrap_err().starts_with("invalid restart policy: unknown policy 'never'"));
    }
}
