//! Verbs of docker, nerdctl and podman that are not here: one line with the reason, and docker's exit code.

use crate::error::{Error, Kind};

/// The verbs that are not here, and why; docs/reference/unbuilt.md is made from it.
pub(super) const UNBUILT: &[(&[&str], &str)] = &[
    (
        &["build", "buildx", "builder"],
        "building images comes in a later version; `import` and `load` make images today",
    ),
    (&["compose"], "compose files come in a later version"),
    (
        &["swarm", "node", "service", "stack", "secret", "config"],
        "there is no swarm: this is one machine's containerd; Kubernetes is its cluster",
    ),
    (&["plugin"], "docker's plugins need docker's daemon"),
    (&["trust"], "Docker Content Trust is retired by docker itself"),
    (&["checkpoint"], "checkpoints come in a later version"),
    (
        &["network"],
        "managing networks comes in a later version; `run --network NAME` uses every CNI network there is",
    ),
    (&["volume"], "managing volumes comes in a later version; `run -v NAME:/path` makes them"),
    (&["push", "manifest"], "this registry verb comes in a later version"),
];

/// Why a verb is not here. None for a word that is no verb of anybody's.
fn reason(verb: &str) -> Option<&'static str> {
    UNBUILT.iter().find(|(verbs, _)| verbs.contains(&verb)).map(|(_, reason)| *reason)
}

/// The error for a word that is not a verb here, with the likely typo among `known`.
pub fn unknown(program: &str, words: &[String], known: &[String]) -> Error {
    let verb = words.last().map(String::as_str).unwrap_or_default();
    let path = words.join(" ");
    if words.len() == 1
        && let Some(reason) = reason(verb)
    {
        return Error::new(Kind::Failed, format!("{program}: '{path}' is not built into wharfie: {reason}"));
    }
    let mut error = Error::new(
        Kind::Failed,
        format!(
            "{program}: unknown command: {program} {path}\n\nRun '{program} --help' for more information"
        ),
    );
    if let Some(likely) = nearest(verb, known) {
        error = error.hint(format!("did you mean `{likely}`?"));
    }
    error
}

/// The known word that fewest edits away, at most a third of its letters.
fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let close = known.iter().map(|candidate| (distance(word, candidate), candidate));
    let (edits, candidate) = close.min_by_key(|(edits, _)| *edits)?;
    (edits <= word.len().max(candidate.len()).div_ceil(3)).then_some(candidate)
}

/// Edits between two words, two swapped neighbours counting as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likely_typo_is_named() {
        let known = ["images", "inspect", "logs", "ps", "run"].map(String::from);
        let cases = [
            ("isnpect", Some("inspect")),
            ("lgos", Some("logs")),
            ("image", Some("images")),
            ("frobnicate", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }

    #[test]
    fn what_is_not_built_says_why() {
        let error = unknown("docker", &["swarm".into()], &[]);
        assert!(error.message.starts_with("docker: 'swarm' is not built into wharfie: there is no swarm"));
        assert_eq!(error.exit_code(), 1);
    }
}
