//! What this program calls itself.
//!
//! Under its own name it tells its own version and the commit it was built from. Called as `docker` or
//! `nerdctl`, tools compare the version with what they need of those: it then tells the version of docker or
//! nerdctl whose words it speaks, and the build says what answered, `wharfie-0.1.0`.

use crate::engine::system::Identity;

/// This program's own version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The docker whose flags, words and formats are spoken.
const DOCKER: &str = "29.0.0";
/// The nerdctl whose flags, words and formats are spoken.
const NERDCTL: &str = "2.3.5";

/// What it is when called as `program`.
pub(super) fn identity(program: &str) -> Identity {
    let stand_in = |version: &str| (version.to_owned(), format!("wharfie-{VERSION}"));
    let (version, build) = match program {
        "docker" => stand_in(DOCKER),
        "nerdctl" => stand_in(NERDCTL),
        // The release build sets it; a build from a plain source tree does not know.
        _ => (VERSION.to_owned(), option_env!("WHARFIE_COMMIT").unwrap_or("unknown").to_owned()),
    };
    Identity { version, build, platform: format!("wharfie {VERSION}") }
}

/// The answer to `--version`.
pub(super) fn one_line(program: &str) -> String {
    let Identity { version, build, .. } = identity(program);
    // docker writes its own name with a capital.
    let name = if program == "docker" { "Docker" } else { program };
    format!("{name} version {version}, build {build}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_stands_in_for_and_what_it_is() {
        assert_eq!(one_line("docker"), format!("Docker version 29.0.0, build wharfie-{VERSION}"));
        assert_eq!(one_line("nerdctl"), format!("nerdctl version 2.3.5, build wharfie-{VERSION}"));
        assert!(one_line("wharfie").starts_with(&format!("wharfie version {VERSION}, build ")));
    }
}
