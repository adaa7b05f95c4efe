//! Images in crictl's order, and its filters.

use regex_lite::Regex;

use crate::cri::api::Image;
use crate::error::{Error, Result};

/// By tag, else by digest, else by id.
pub(super) fn sort(images: &mut [Image]) {
    images.sort_by(|one, other| match (one.repo_tags.first(), other.repo_tags.first()) {
        (Some(one), Some(other)) => one.cmp(other),
        _ => match (one.repo_digests.first(), other.repo_digests.first()) {
            (Some(one), Some(other)) => one.cmp(other),
            _ => one.id.cmp(&other.id),
        },
    });
}

/// What each of `filters` leaves over.
pub(super) fn filter(mut images: Vec<Image>, filters: &[String]) -> Result<Vec<Image>> {
    for filter in filters {
        images = match filter.split_once('=') {
            Some(("before", value)) => {
                images.reverse();
                let mut kept = until(value, images);
                kept.reverse();
                kept
            }
            Some(("since", value)) => until(value, images),
            Some(("dangling", value)) => {
                let wanted = crate::cli::args::urfave::truth(value);
                images.into_iter().filter(|image| Some(image.repo_tags.is_empty()) == wanted).collect()
            }
            Some(("reference", value)) => {
                let pattern = Regex::new(value).map_err(|cause| {
                    Error::failed(format!("filter images: error parsing regexp: {cause}"))
                })?;
                images
                    .into_iter()
                    .filter(|image| {
                        let (name, _) = digest(&image.repo_digests);
                        pattern.is_match(&name) || name == value
                    })
                    .collect()
            }
            _ => return Err(Error::failed(format!("filter images: unknown filter flag: {filter}"))),
        };
    }
    Ok(images)
}

/// The images before the one that `wanted` names: `name:tag`, an id's start, or `name@digest`.
fn until(wanted: &str, images: Vec<Image>) -> Vec<Image> {
    let (colon, at) = (wanted.contains(':'), wanted.contains('@'));
    let mut kept = Vec::new();
    for image in images {
        let (name, _) = digest(&image.repo_digests);
        let is_it = match (colon, at) {
            (true, false) => tags(&image.repo_tags, &name)
                .first()
                .is_some_and(|(name, tag)| format!("{name}:{tag}") == wanted),
            (false, false) => image.id.starts_with(wanted),
            (true, true) => match image.repo_digests.first() {
                Some(digest) => digest.starts_with(wanted),
                None => continue,
            },
            (false, true) => continue,
        };
        if is_it {
            break;
        }
        kept.push(image);
    }
    kept
}

/// A repository and its digest.
pub(super) fn digest(digests: &[String]) -> (String, String) {
    let Some(first) = digests.first() else { return ("<none>".into(), "<none>".into()) };
    match first.split('@').collect::<Vec<_>>().as_slice() {
        [name, digest] => ((*name).to_owned(), (*digest).to_owned()),
        _ => ("errorName".into(), "errorRepoDigest".into()),
    }
}

/// Each name with its tag; `name` where there is none.
pub(super) fn tags(tags: &[String], name: &str) -> Vec<(String, String)> {
    if tags.is_empty() {
        return vec![(name.to_owned(), "<none>".into())];
    }
    tags.iter()
        .map(|tag| match tag.rsplit_once(':') {
            None => ("errorRepoTag".into(), "errorRepoTag".into()),
            Some(("<none>", tag)) => (name.to_owned(), tag.to_owned()),
            Some((name, tag)) => (name.to_owned(), tag.to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Vec<Image> {
        let image = |id: &str, tag: &str, digest: &str| Image {
            id: id.into(),
            repo_tags: (!tag.is_empty()).then(|| tag.to_owned()).into_iter().collect(),
            repo_digests: (!digest.is_empty()).then(|| digest.to_owned()).into_iter().collect(),
            ..Default::default()
        };
        vec![
            image("sha256:1", "r/a:1", "r/a@sha256:aa"),
            image("sha256:2", "r/b:1", "r/b@sha256:bb"),
            image("sha256:3", "r/c:2", "r/c@sha256:cc"),
            image("sha256:4", "", "r/d@sha256:dd"),
        ]
    }

    #[test]
    fn filters_are_crictls() {
        for (filters, kept) in [
            ("dangling=true", "4"),
            ("dangling=false", "1 2 3"),
            ("reference=r/[bc]", "2 3"),
            ("since=r/c:2", "1 2"),
            ("before=r/b:1", "3 4"),
            ("before=sha256:2", "1 2 3 4"),
            ("since=r/c@sha256:cc", "1 2"),
            ("dangling=false reference=r/c", "3"),
        ] {
            let filters: Vec<String> = filters.split(' ').map(str::to_owned).collect();
            let left: Vec<String> = filter(images(), &filters)
                .unwrap()
                .into_iter()
                .map(|image| image.id.replace("sha256:", ""))
                .collect();
            assert_eq!(left.join(" "), kept, "{filters:?}");
        }
        let error = filter(images(), &["x=y".to_owned()]).unwrap_err();
        assert_eq!(error.message, "filter images: unknown filter flag: x=y");
    }

    #[test]
    fn names_without_tags_and_digests() {
        assert_eq!(digest(&[]), ("<none>".into(), "<none>".into()));
        assert_eq!(tags(&[], "r/a"), [("r/a".into(), "<none>".into())]);
        assert_eq!(tags(&["host:5000/a:1".into()], ""), [("host:5000/a".into(), "1".into())]);
        assert_eq!(tags(&["<none>:1".into()], "r/a"), [("r/a".into(), "1".into())]);
    }
}
