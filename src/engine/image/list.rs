//! The list of images: records of the same target are one image.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::container::Container;
use crate::error::{Error, Result};
use crate::image::platform::Platform;
use crate::registry::Reference;

use super::name::tags_and_digests;
use super::resolve::find;
use super::usage::{Group, groups};

/// Which images to list; what is empty filters nothing.
#[derive(Debug, Clone, Default)]
pub struct ImageFilters {
    /// Patterns as in a shell for names, with or without tag; one must match.
    pub references: Vec<String>,
    /// Only those without (or with) a name.
    pub dangling: Option<bool>,
    /// `key` or `key=value`; all must match.
    pub labels: Vec<String>,
    /// Older than this image.
    pub before: Option<String>,
    /// Younger than this image.
    pub since: Option<String>,
    /// Older than this time.
    pub until: Option<Timestamp>,
}

/// One image in the list.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// The target's digest.
    pub id: String,
    /// containerd's names.
    pub names: Vec<String>,
    /// `busybox:latest`.
    pub tags: Vec<String>,
    /// `busybox@sha256:…`.
    pub digests: Vec<String>,
    /// When it was built.
    pub created: Option<Timestamp>,
    /// Bytes in all: content and snapshots of the platforms that are here.
    pub size: u64,
    /// Bytes in the content store.
    pub content_size: u64,
    /// Of the configuration.
    pub labels: HashMap<String, String>,
    /// Its platforms, those that are here first.
    pub platforms: Vec<PlatformSummary>,
}

/// One platform of an image.
#[derive(Debug, Clone)]
pub struct PlatformSummary {
    /// The manifest's digest.
    pub id: String,
    /// `linux/amd64`.
    pub platform: String,
    /// Whether it is here.
    pub available: bool,
    /// Bytes in all.
    pub size: u64,
    /// Bytes in the content store.
    pub content_size: u64,
}

impl ImageSummary {
    /// Whether it has no name.
    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }

    /// Whether one of these containers is made from it.
    pub fn is_used_by(&self, containers: &[Container]) -> bool {
        users(&self.id, &self.names, containers).next().is_some()
    }
}

/// The containers that are made from the image `id` with these names of containerd's.
pub(super) fn users<'a>(
    id: &str,
    names: &[String],
    containers: &'a [Container],
) -> impl Iterator<Item = &'a Container> {
    containers.iter().filter(move |container| {
        // Of ours the id is known: the name may have moved on to another image since.
        if let Some(record) = container.record.as_ref().filter(|record| !record.image_id.is_empty()) {
            return record.image_id == id;
        }
        let name = &container.raw.image;
        let canonical = Reference::parse(name).map(|reference| reference.canonical());
        names.iter().any(|own| own == name || canonical.as_ref().is_ok_and(|name| name == own))
    })
}

/// The images that match, the youngest first.
pub async fn list(engine: &Engine, filters: &ImageFilters) -> Result<Vec<ImageSummary>> {
    let mut summaries: Vec<ImageSummary> = groups(engine).await?.iter().filter_map(summary).collect();
    summaries.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.tags.cmp(&b.tags)));
    apply(engine, filters, summaries).await
}

fn summary(group: &Group) -> Option<ImageSummary> {
    let target = &group.records.first()?.target;
    let names = group.names();
    let (tags, digests) = tags_and_digests(&names, target);
    let here = group.parts.iter().map(|part| PlatformSummary {
        id: part.descriptor.digest().to_string(),
        platform: part.brief.platform().to_string(),
        available: true,
        size: part.pieces.size(),
        content_size: part.pieces.content(),
    });
    let absent = group.absent.iter().filter_map(|entry| {
        Some(PlatformSummary {
            id: entry.digest().to_string(),
            platform: Platform::of(entry)?.to_string(),
            available: false,
            size: 0,
            content_size: 0,
        })
    });
    let best = group.best();
    Some(ImageSummary {
        id: target.digest().to_string(),
        names,
        tags,
        digests,
        created: best.and_then(|part| part.brief.created),
        size: group.pieces.size(),
        content_size: group.pieces.content(),
        labels: best
            .map(|part| part.brief.labels().map(|(key, value)| (key.clone(), value.clone())).collect())
            .unwrap_or_default(),
        platforms: here.chain(absent).collect(),
    })
}

async fn apply(
    engine: &Engine,
    filters: &ImageFilters,
    mut summaries: Vec<ImageSummary>,
) -> Result<Vec<ImageSummary>> {
    let created = async |text: &Option<String>| -> Result<Option<Option<Timestamp>>> {
        let Some(text) = text else { return Ok(None) };
        let image = find(engine, text).await?;
        let id = image.target.digest().to_string();
        let found = summaries.iter().find(|summary| summary.id == id);
        found
            .map(|summary| Some(summary.created))
            .ok_or_else(|| Error::not_found(format!("No such image: {text}")))
    };
    let (before, since) = (created(&filters.before).await?, created(&filters.since).await?);
    for reference in &filters.references {
        check_pattern(reference)?;
    }
    summaries.retain(|image| {
        filters.dangling.is_none_or(|wanted| image.is_dangling() == wanted)
            && before.is_none_or(|limit| image.created < limit)
            && since.is_none_or(|limit| image.created > limit)
            && filters.until.is_none_or(|limit| image.created.is_some_and(|created| created < limit))
            && filters.labels.iter().all(|label| match label.split_once('=') {
                Some((key, value)) => image.labels.get(key).is_some_and(|found| found == value),
                None => image.labels.contains_key(label),
            })
    });
    if !filters.references.is_empty() {
        for image in &mut summaries {
            // As docker does: of a matching image, only the matching names are shown.
            image.tags.retain(|name| filters.references.iter().any(|pattern| matches(pattern, name)));
            image.digests.retain(|name| filters.references.iter().any(|pattern| matches(pattern, name)));
        }
        summaries.retain(|image| !image.is_dangling());
    }
    Ok(summaries)
}

/// Whether a pattern means a name: the whole of it, without its tag, or by its full name.
fn matches(pattern: &str, name: &str) -> bool {
    let Ok(reference) = Reference::parse(name) else { return glob(pattern.as_bytes(), name.as_bytes()) };
    let full = Reference::parse(pattern).map(|pattern| pattern.familiar());
    let forms = [reference.familiar(), reference.familiar_name(), reference.to_string(), reference.name()];
    forms.iter().any(|form| {
        glob(pattern.as_bytes(), form.as_bytes())
            || full.as_ref().is_ok_and(|pattern| glob(pattern.as_bytes(), form.as_bytes()))
    })
}

fn check_pattern(pattern: &str) -> Result<()> {
    let open = pattern.bytes().fold(false, |open, byte| match byte {
        b'[' => true,
        b']' => false,
        _ => open,
    });
    if open || pattern.ends_with('\\') {
        return Err(Error::usage(format!("invalid reference pattern {pattern:?}: syntax error in pattern")));
    }
    Ok(())
}

/// Shell patterns: `*` and `?` stop at slashes, `[a-z]`, `\` takes the next byte as it is.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let next = text.get(position).copied();
        let step = match (pattern.get(at), next) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((at + 1, position));
                Some((1, 0))
            }
            (Some(b'?'), Some(byte)) if byte != b'/' => Some((1, 1)),
            (Some(b'['), Some(byte)) => {
                class(pattern.get(at..).unwrap_or_default(), byte).map(|used| (used, 1))
            }
            (Some(b'\\'), Some(byte)) => (pattern.get(at + 1) == Some(&byte)).then_some((2, 1)),
            (Some(literal), Some(byte)) if *literal == byte && !matches!(byte, b'?') => Some((1, 1)),
            _ => None,
        };
        match (step, retry) {
            (Some((used, taken)), _) => {
                at += used;
                position += taken;
            }
            (None, Some((after, from))) => {
                if text.get(from).is_none_or(|byte| *byte == b'/') {
                    return false;
                }
                retry = Some((after, from + 1));
                (at, position) = (after, from + 1);
            }
            (None, None) => return false,
        }
    }
}

/// How long the class at the beginning of `pattern` is, when it has `byte`.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let end = pattern.iter().position(|other| *other == b']')?;
    let body = pattern.get(1..end)?;
    let (negated, body) = match body.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, body),
    };
    let mut found = false;
    let mut rest = body;
    loop {
        match rest {
            [low, b'-', high, after @ ..] => {
                found |= (*low..=*high).contains(&byte);
                rest = after;
            }
            [one, after @ ..] => {
                found |= *one == byte;
                rest = after;
            }
            [] => break,
        }
    }
    (found != negated && byte != b'/').then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_names() {
        let cases = [
            ("busybox", "busybox:latest", true),
            ("busybox:latest", "busybox:latest", true),
            ("busybox:1", "busybox:latest", false),
            ("busy*", "busybox:latest", true),
            ("busy*:l?test", "busybox:latest", true),
            ("*", "busybox:latest", true),
            ("*", "a/b:1", false),
            ("*/*", "a/b:1", true),
            ("*/*:[0-9]", "a/b:1", true),
            ("*/*:[^0-9]", "a/b:1", false),
            ("docker.io/library/busybox", "busybox:latest", true),
            ("library/busybox", "busybox:latest", true),
            ("quay.io/*/b", "quay.io/a/b:1", true),
            ("box", "busybox:latest", false),
            ("", "busybox:latest", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(check_pattern("[a").is_err());
    }
}
