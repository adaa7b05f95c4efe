//! The verbs of registries.

pub mod login;
pub mod logout;
pub mod search;

use crate::registry::DOCKER_HUB;

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
