//! Logging in: a registry's challenge, and the token or password that answers it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use base64::Engine as _;
use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use serde::Deserialize;

use crate::config::credentials::{self, Credentials, Secret};
use crate::error::Error;

use super::endpoint::Endpoint;
use super::error::{Cause, Failure, read_up_to};

const LARGEST_TOKEN: usize = 1 << 20;

/// What registries were told, and from where it is taken. One a pull.
#[derive(Debug)]
pub(super) struct Auth {
    docker_config: PathBuf,
    /// What a flag gives; it beats the file.
    given: Option<Credentials>,
    /// The Authorization header by endpoint and scope.
    granted: Mutex<HashMap<(String, String), Secret>>,
}

/// One way to log in that a registry offers.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: HashMap<String, String>,
}

impl Auth {
    pub(super) fn new(docker_config: PathBuf, given: Option<Credentials>) -> Self {
        Self { docker_config, given, granted: Mutex::default() }
    }

    /// The Authorization header for `endpoint`, if it wanted one for `scope` before.
    pub(super) fn granted(&self, endpoint: &Endpoint, scope: &str) -> Option<Secret> {
        self.granted.lock().ok()?.get(&(endpoint.base.clone(), scope.to_owned())).cloned()
    }

    /// Answer the challenge in `headers`. `scope` is what is wanted, a word a repository:
    /// `repository:library/busybox:pull`.
    pub(super) async fn answer(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        scope: &str,
    ) -> Result<(), Failure> {
        let offered: Vec<Challenge> = headers
            .get_all("www-authenticate")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenges)
            .collect();
        let known = self.credentials(endpoint).await?;
        let find = |scheme: &str| offered.iter().find(|challenge| challenge.scheme == scheme);
        let header = if let Some(Credentials::RegistryToken(token)) = &known {
            Secret::new(format!("Bearer {}", token.reveal()))
        } else if let Some(challenge) = find("bearer") {
            token(client, endpoint, challenge, scope, known.as_ref()).await?
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
            granted.insert((endpoint.base.clone(), scope.to_owned()), header);
        }
        Ok(())
    }

    async fn credentials(&self, endpoint: &Endpoint) -> Result<Option<Credentials>, Failure> {
        if let Some(given) = &self.given {
            return Ok(Some(given.clone()));
        }
        let directory = self.docker_config.clone();
        let account = endpoint.account.clone();
        // A credential helper is a process to wait for.
        tokio::task::spawn_blocking(move || credentials::find(&directory, &account))
            .await
            .map_err(|_| Error::failed("looking up credentials was interrupted"))?
            .map_err(Failure::from)
    }
}

fn basic(username: &str, password: &Secret) -> Secret {
    let pair = format!("{username}:{}", password.reveal());
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

async fn token(
    client: &Client,
    endpoint: &Endpoint,
    challenge: &Challenge,
    scope: &str,
    known: Option<&Credentials>,
) -> Result<Secret, Failure> {
    let realm = challenge.parameters.get("realm").map(String::as_str).unwrap_or_default();
    let mut url = Url::parse(realm).map_err(|_| {
        Error::failed(format!("{}: the registry names no valid token server: {realm:?}", endpoint.host))
    })?;
    let secure = url.scheme() == "https" || endpoint.base.starts_with("http://");
    if known.is_some() && !secure {
        let message = format!("{}: will not send credentials to {realm} without TLS", endpoint.host);
        return Err(Error::failed(message).into());
    }
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
            ("client_id", "wharfie"),
            ("refresh_token", refresh.reveal()),
        ]);
        let mut form = url.clone();
        form.query_pairs_mut().clear().extend_pairs(fields);
        client
            .post(url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned())
    } else {
        if let Some(Credentials::Password { username, .. }) = known {
            fields.push(("account", username));
        }
        url.query_pairs_mut().extend_pairs(fields);
        let request = client.get(url.clone());
        match known {
            Some(Credentials::Password { username, password }) => {
                request.header("authorization", basic(username, password).reveal())
            }
            _ => request,
        }
    };
    let response = request.send().await.map_err(|error| Failure::transport("Get", &url, &error))?;
    if !response.status().is_success() {
        return Err(Failure::status("Get", response).await);
    }
    let bytes = read_up_to(response, LARGEST_TOKEN).await.unwrap_or_default();
    read_token(&bytes)
        .map(|token| Secret::new(format!("Bearer {}", token.reveal())))
        .ok_or_else(|| Error::failed(format!("{realm}: the token server sent no token")).into())
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

fn read_token(bytes: &[u8]) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Reply {
        token: Option<Secret>,
        access_token: Option<Secret>,
    }
    let reply: Reply = serde_json::from_slice(bytes).ok()?;
    reply.token.or(reply.access_token).filter(|token| !token.reveal().is_empty())
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
            (r#"{"token":""}"#, None),
            ("", None),
        ] {
            assert_eq!(read_token(json.as_bytes()).as_ref().map(Secret::reveal), expected, "{json}");
        }
    }
}
