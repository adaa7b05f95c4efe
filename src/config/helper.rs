//! docker's credential helpers: programs `docker-credential-NAME` that keep log-ins, and how one speaks with them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::credentials::{Credentials, Secret};
use crate::error::{Error, Result};

/// What a helper says when it has nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name under which an identity token is kept.
const TOKEN: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    username: String,
    secret: Secret,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// What `helper` keeps for `server`; None where it has nothing. Blocks while it runs.
pub(super) fn get(helper: &str, server: &str) -> Result<Option<Credentials>> {
    let Some(output) = run(helper, ("get", server), server.as_bytes())? else { return Ok(None) };
    let reply: Reply = serde_json::from_slice(&output).map_err(|_| {
        Error::failed(format!("docker-credential-{helper} answered something that is not its protocol"))
    })?;
    if reply.username == TOKEN {
        return Ok(Some(Credentials::IdentityToken(reply.secret)));
    }
    Ok(Some(Credentials::Password { username: reply.username, password: reply.secret }))
}

/// Let `helper` keep a log-in.
pub(super) fn store(helper: &str, server: &str, credentials: &Credentials) -> Result<()> {
    let (username, secret) = match credentials {
        Credentials::Password { username, password } => (username.as_str(), password),
        Credentials::IdentityToken(token) | Credentials::RegistryToken(token) => (TOKEN, token),
    };
    let entry = Entry { server_url: server, username, secret: secret.reveal() };
    let entry = serde_json::to_vec(&entry).map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
    run(helper, ("store", server), &entry).map(drop)
}

/// Let `helper` forget a log-in; one that it does not know is forgotten.
pub(super) fn erase(helper: &str, server: &str) -> Result<()> {
    run(helper, ("erase", server), server.as_bytes()).map(drop)
}

/// The answer; None when it has nothing.
fn run(helper: &str, (act, server): (&str, &str), input: &[u8]) -> Result<Option<Vec<u8>>> {
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(Error::failed(format!(
            "invalid credential helper name {helper:?} in docker's config.json"
        )));
    }
    let program = format!("docker-credential-{helper}");
    let failed = |cause: std::io::Error| {
        Error::failed(format!("cannot run {program}: {}", crate::error::reason(&cause)))
            .hint("install the credential helper, or remove it from docker's config.json")
    };
    let mut child = Command::new(&program)
        .arg(act)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input still answers or fails below.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    if said.trim() == NOT_FOUND {
        return Ok(None);
    }
    Err(Error::failed(format!("{program} {act} {server}: {}", said.trim())))
}
