//! Logging in: a registry's challenge, and the token or password that answers it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use base64::Engine as _;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::config::Config;
use crate::config::credentials::{self, Credentials, Found, Secret};
use crate::error::Error;

use super::connection::Sender;
use super::endpoint::Endpoint;
use super::error::{Cause, Failure, read_up_to};

/// How this program is called where a token server keeps who got a token.
const CLIENT: &str = "wharfie";
const LARGEST_TOKEN: usize = 1 << 20;

/// What registries were told, and from where it is taken. One a pull.
#[derive(Debug)]
pub(super) struct Auth {
    docker_config: PathBuf,
    environment: Option<Secret>,
    /// What a flag gives; it beats the file.
    given: Option<Credentials>,
    /// By endpoint and scope.
    granted: Mutex<HashMap<(String, String), Granted>>,
}

/// What a host lets us in with.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    /// The Authorization header.
    pub(super) header: Secret,
    /// Where the log-in behind it came from.
    pub(super) origin: String,
}

/// What a token server gives.
struct Tokens {
    /// For requests.
    access: Secret,
    /// For later tokens, where one was asked for.
    refresh: Option<Secret>,
}

/// One way to log in that a registry offers.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: HashMap<String, String>,
}

impl Auth {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            docker_config: config.docker_config.clone(),
            environment: config.auth_config.clone(),
            given: config.registry.credentials.clone(),
            granted: Mutex::default(),
        }
    }

    /// With these credentials alone, whatever files say.
    pub(super) fn with(config: &Config, given: &Credentials) -> Self {
        Self { given: Some(given.clone()), ..Self::new(config) }
    }

    /// What `endpoint` lets us in with, if it wanted something for `scope` before.
    pub(super) fn granted(&self, endpoint: &Endpoint, scope: &str) -> Option<Granted> {
        self.granted.lock().ok()?.get(&(endpoint.base.clone(), scope.to_owned())).cloned()
    }

    /// Answer the challenge in `headers`. `scope` is what is wanted, a word a repository:
    /// `repository:library/busybox:pull`; empty for a log-in, which also asks for an identity token: that one is given
    /// back where there is one.
    pub(super) async fn answer(
        &self,
        sender: &Sender<'_>,
        headers: &HeaderMap,
        scope: &str,
    ) -> Result<Option<Secret>, Failure> {
        let endpoint = sender.endpoint;
        let offered: Vec<Challenge> = headers
            .get_all("www-authenticate")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenges)
            .collect();
        let found = self.credentials(endpoint).await?;
        let origin = found.as_ref().map_or("none", |found| &found.origin).to_owned();
        let known = found.map(|found| found.credentials);
        let find = |scheme: &str| offered.iter().find(|challenge| challenge.scheme == scheme);
        let mut refresh = None;
        let header = if let Some(Credentials::RegistryToken(token)) = &known {
            Secret::new(format!("Bearer {}", token.reveal()))
        } else if let Some(challenge) = find("bearer") {
            let tokens = token(sender, challenge, scope, (known.as_ref(), &origin)).await?;
            refresh = tokens.refresh;
            Secret::new(format!("Bearer {}", tokens.access.reveal()))
        } else if let (Some(_), Some(Credentials::Password { username, password })) = (find("basic"), &known)
        {
            basic(username, password)
        } else {
            return Err(Failure {
                cause: Cause::Denied,
                error: Error::failed(format!("{}: 401 Unauthorized: no credentials", endpoint.host)),
            });
        };
        if let Ok(mut granted) = self.granted.lock() {
            granted.insert((endpoint.base.clone(), scope.to_owned()), Granted { header, origin });
        }
        Ok(refresh)
    }

    async fn credentials(&self, endpoint: &Endpoint) -> Result<Option<Found>, Failure> {
        if let Some(given) = &self.given {
            return Ok(Some(Found { credentials: given.clone(), origin: "command line".into() }));
        }
        let (directory, environment) = (self.docker_config.clone(), self.environment.clone());
        let accounts = endpoint.accounts.clone();
        // A credential helper is a process to wait for.
        let found = tokio::task::spawn_blocking(move || {
            let mut found = accounts
                .iter()
                .map(|account| credentials::find(environment.as_ref(), &directory, account).transpose());
            found.find_map(|found| found).transpose()
        });
        let found = found.await.map_err(|_| Error::failed("looking up credentials was interrupted"))??;
        let own = endpoint.credentials.clone();
        Ok(found.or_else(|| Some(Found { credentials: own?, origin: endpoint.chosen_by() })))
    }
}

fn basic(username: &str, password: &Secret) -> Secret {
    let pair = format!("{username}:{}", password.reveal());
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

async fn token(
    sender: &Sender<'_>,
    challenge: &Challenge,
    scope: &str,
    (known, origin): (Option<&Credentials>, &str),
) -> Result<Tokens, Failure> {
    let endpoint = sender.endpoint;
    let realm = challenge.parameters.get("realm").map(String::as_str).unwrap_or_default();
    let mut url = Url::parse(realm).map_err(|_| {
        Error::failed(format!("{}: the registry names no valid token server: {realm:?}", endpoint.host))
    })?;
    if known.is_some() && url.scheme() != "https" && endpoint.is_secure() {
        let message = format!("{}: will not send credentials to {realm} without TLS", endpoint.host);
        return Err(Error::failed(message).into());
    }
    let is_login = scope.is_empty();
    let service = challenge.parameters.get("service").map(String::as_str).unwrap_or_default();
    let scopes = scopes(challenge.parameters.get("scope").map_or("", String::as_str), scope);
    let all = scopes.join(" ");
    let mut fields = vec![("service", service)];
    match known {
        // The two protocols write a list of scopes differently.
        Some(Credentials::IdentityToken(_)) => fields.push(("scope", &all)),
        _ => fields.extend(scopes.iter().map(|scope| ("scope", *scope))),
    }
    fields.retain(|(_, value)| !value.is_empty());
    let request = if let Some(Credentials::IdentityToken(refresh)) = known {
        fields.extend([
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT),
            ("refresh_token", refresh.reveal()),
        ]);
        let mut form = url.clone();
        form.query_pairs_mut().clear().extend_pairs(fields);
        sender
            .client
            .post(url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned())
    } else {
        if let Some(Credentials::Password { username, .. }) = known {
            fields.push(("account", username));
        }
        if is_login {
            fields.extend([("offline_token", "true"), ("client_id", CLIENT)]);
        }
        url.query_pairs_mut().extend_pairs(fields);
        let request = sender.client.get(url.clone());
        match known {
            Some(Credentials::Password { username, password }) => {
                request.header("authorization", basic(username, password).reveal())
            }
            _ => request,
        }
    };
    let response =
        sender.send(request, origin).await.map_err(|error| Failure::transport("Get", &url, &error))?;
    if !response.status().is_success() {
        return Err(Failure::status("Get", response).await);
    }
    let bytes = read_up_to(response, LARGEST_TOKEN).await.unwrap_or_default();
    read_token(&bytes).ok_or_else(|| Error::failed(format!("{realm}: the token server sent no token")).into())
}

/// The scopes to ask for: the registry's own words, and what is `wanted` of repositories that it does not name.
fn scopes<'a>(challenged: &'a str, wanted: &'a str) -> Vec<&'a str> {
    let repository = |scope: &'a str| scope.rsplit_once(':').map_or(scope, |(repository, _)| repository);
    let mut scopes: Vec<&str> = challenged.split_whitespace().collect();
    for scope in wanted.split_whitespace() {
        if scopes.iter().all(|known| repository(known) != repository(scope)) {
            scopes.push(scope);
        }
    }
    scopes
}

fn read_token(bytes: &[u8]) -> Option<Tokens> {
    #[derive(Deserialize)]
    struct Reply {
        token: Option<Secret>,
        access_token: Option<Secret>,
        refresh_token: Option<Secret>,
    }
    let said = |text: &Secret| !text.reveal().is_empty();
    let reply: Reply = serde_json::from_slice(bytes).ok()?;
    let access = reply.token.filter(said).or(reply.access_token).filter(said)?;
    Some(Tokens { access, refresh: reply.refresh_token.filter(said) })
}

/// Read a `WWW-Authenticate` header: `Bearer realm="…",scope="a,b", Basic realm="x"`.
fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let (value, after) = value_of(value.trim_start());
            if let Some(challenge) = found.last_mut() {
                challenge.parameters.insert(word.to_ascii_lowercase(), value);
            }
            rest = after;
        } else {
            if !word.is_empty() {
                found.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: HashMap::new() });
            }
            rest = after;
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    found
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push", Basic realm=x"#;
        let found = challenges(header);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].scheme, "bearer");
        assert_eq!(found[0].parameters["realm"], "https://auth.docker.io/token");
        assert_eq!(found[0].parameters["scope"], "repository:a:pull,push");
        assert_eq!(found[1].scheme, "basic");
        assert_eq!(found[1].parameters["realm"], "x");
        for odd in ["", "Basic", "=", "Bearer realm=\"", ",,,", "Bearer realm=\"a\\\"b\"", "é=\"ü\""] {
            let _ = challenges(odd);
        }
    }

    #[test]
    fn scopes_are_the_registry_s_and_what_it_does_not_name() {
        for (challenged, wanted, expected) in [
            ("", "repository:a:pull", vec!["repository:a:pull"]),
            ("repository:a:pull,push", "repository:a:pull", vec!["repository:a:pull,push"]),
            (
                "repository:a:pull,push repository:b:pull",
                "repository:a:pull,push repository:b:pull",
                vec!["repository:a:pull,push", "repository:b:pull"],
            ),
            (
                "repository:a:push",
                "repository:a:pull,push repository:h:5/b:pull",
                vec!["repository:a:push", "repository:h:5/b:pull"],
            ),
        ] {
            assert_eq!(scopes(challenged, wanted), expected, "{challenged}");
        }
    }

    #[test]
    fn tokens_have_two_names() {
        for (json, expected) in [
            (r#"{"token":"a"}"#, Some("a")),
            (r#"{"access_token":"b"}"#, Some("b")),
            (r#"{"token":"","access_token":"c"}"#, Some("c")),
            (r#"{"token":""}"#, None),
            ("", None),
        ] {
            assert_eq!(
                read_token(json.as_bytes()).as_ref().map(|tokens| tokens.access.reveal()),
                expected,
                "{json}"
            );
        }
    }
}
