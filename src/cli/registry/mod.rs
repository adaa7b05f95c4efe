//! The verbs of registries.

pub mod check;
pub mod flags;
pub mod login;
pub mod logout;
pub mod search;

use super::{Context, unbuilt};
use crate::error::Result;
use crate::registry::DOCKER_HUB;

/// The verbs below `registry`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Ask every host that stands for an image's registry, and say what each of them answers
    Check(check::Args),
    /// Authenticate to a registry
    Login(login::Args),
    /// Log out from a registry
    Logout(logout::Args),
    /// Search Docker Hub, or another registry, for images
    Search(search::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run a verb below `registry`.
pub async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Check(args) => check::run(args, cx).await,
        Verb::Login(args) => login::run(args, cx).await,
        Verb::Logout(args) => logout::run(args, cx).await,
        Verb::Search(args) => search::run(args, cx).await,
        Verb::Unknown(words) => {
            let known = ["check", "login", "logout", "search"].map(String::from);
            let words: Vec<String> =
                ["registry".to_owned()].into_iter().chain(words.into_iter().take(1)).collect();
            Err(unbuilt::unknown(&cx.program, &words, &known))
        }
    }
}

/// The registry that a user means by `[https://]HOST[:PORT][/…]`; Docker Hub without one.
fn server(given: Option<&str>) -> &str {
    let given = given.unwrap_or_default();
    let rest = given.split_once("://").map_or(given, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn servers_are_hosts() {
        for (given, expected) in [
            (None, "docker.io"),
            (Some(""), "docker.io"),
            (Some("docker.io"), "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("host:5000"), "host:5000"),
            (Some("http://host:5000/"), "host:5000"),
            (Some("https://host/v2/x"), "host"),
        ] {
            assert_eq!(server(given), expected, "{given:?}");
        }
    }
}
