//! docker's tree of images and their platforms.

use super::{short, size};
use crate::engine::image::ImageSummary;

/// Between two columns.
const GAP: &str = "   ";

/// One line: a name, and what is known of what has it.
struct Line {
    name: String,
    cells: Option<[String; 4]>,
}

const TITLES: [&str; 5] = ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"];

/// Each image with its platforms, and whether a container is made from it: a line a name, the last one with the
/// numbers, a line a platform, and a blank line between two images. `U` stands for an image in use.
pub(super) fn text<'a>(images: impl Iterator<Item = (&'a ImageSummary, bool)>) -> String {
    let images: Vec<Vec<Line>> = images.map(|(image, is_used)| lines(image, is_used)).collect();
    let all = || images.iter().flatten();
    let width = |index: usize| {
        let cells = all().filter_map(|line| line.cells.as_ref()?.get(index));
        cells.map(|cell| cell.chars().count()).chain(TITLES.get(index + 1).map(|title| title.len())).max()
    };
    let widths: Vec<usize> = (0..4).map(|index| width(index).unwrap_or_default()).collect();
    let first = all().map(|line| line.name.chars().count()).max().unwrap_or_default().max(TITLES[0].len());
    let row = |name: &str, cells: &[&str]| {
        let mut row = pad(name, first, false);
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            row.push_str(GAP);
            row.push_str(&pad(cell, *width, matches!(index, 1 | 2)));
        }
        format!("{}\n", row.trim_end())
    };
    let mut text = row(TITLES[0], &TITLES[1..]);
    for (index, lines) in images.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for line in lines {
            let cells = line.cells.iter().flatten().map(String::as_str).collect::<Vec<_>>();
            text.push_str(&row(&line.name, &cells));
        }
    }
    text
}

fn lines(image: &ImageSummary, is_used: bool) -> Vec<Line> {
    let used = |is_used: bool| if is_used { "U" } else { "" }.to_owned();
    let names = if image.tags.is_empty() { &image.digests } else { &image.tags };
    let mut lines: Vec<Line> = names.iter().map(|name| Line { name: name.clone(), cells: None }).collect();
    if lines.is_empty() {
        lines.push(Line { name: "<untagged>".into(), cells: None });
    }
    if let Some(last) = lines.last_mut() {
        last.cells = Some([short(&image.id), size(image.size), size(image.content_size), used(is_used)]);
    }
    let here = image.platforms.iter().filter(|part| part.available).count();
    lines.extend(image.platforms.iter().enumerate().map(|(index, part)| {
        let branch = if index + 1 == image.platforms.len() { "└─" } else { "├─" };
        Line {
            name: format!("{branch} {}", part.platform),
            cells: Some([
                short(&part.id),
                size(part.size),
                size(part.content_size),
                // Of several, which one a container has is not said.
                used(is_used && part.available && here == 1),
            ]),
        }
    }));
    lines
}

fn pad(text: &str, width: usize, right: bool) -> String {
    let fill = " ".repeat(width.saturating_sub(text.chars().count()));
    if right { format!("{fill}{text}") } else { format!("{text}{fill}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::image::PlatformSummary;

    #[test]
    fn the_tree_is_dockers() {
        let image = |tags: &[&str], platforms: &[(&str, bool)]| ImageSummary {
            id: "sha256:0123456789abcdef".into(),
            names: Vec::new(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            digests: Vec::new(),
            created: None,
            size: 13_600_000,
            content_size: 4_090_000,
            labels: Default::default(),
            platforms: platforms
                .iter()
                .map(|(name, available)| PlatformSummary {
                    id: "sha256:fedcba9876543210".into(),
                    platform: (*name).to_owned(),
                    available: *available,
                    size: if *available { 13_600_000 } else { 0 },
                    content_size: if *available { 4_090_000 } else { 0 },
                })
                .collect(),
        };
        let images = [
            image(&["alpine:3", "alpine:latest"], &[("linux/amd64", true), ("linux/arm/v6", false)]),
            image(&[], &[]),
        ];
        assert_eq!(
            text(images.iter().zip([true, false])),
            "IMAGE             ID             DISK USAGE   CONTENT SIZE   EXTRA\n\
             alpine:3\n\
             alpine:latest     0123456789ab       13.6MB         4.09MB   U\n\
             ├─ linux/amd64    fedcba987654       13.6MB         4.09MB   U\n\
             └─ linux/arm/v6   fedcba987654           0B             0B\n\
             \n\
             <untagged>        0123456789ab       13.6MB         4.09MB\n"
        );
    }
}
