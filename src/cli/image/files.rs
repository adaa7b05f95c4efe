//! `image files`: what lies in an image, without a container.

use std::os::unix::ffi::OsStrExt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::told;
use crate::cli::Context;
use crate::engine::image::{self, Entry, Node};
use crate::error::{Error, Result};
use crate::output::ui::visible;
use crate::output::{Column, Format, Listing};

/// Flags of `image files`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An image that is not unpacked is unpacked first. `image ls IMAGE:/path` is the same.\n\nExamples:\n  \
    wharfie image files busybox\n  wharfie image files busybox /etc\n  wharfie image files -R -q busybox:latest:/usr\n  \
    wharfie image files --format '{{.Size}} {{.Name}}' busybox /bin"
)]
pub struct Args {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Look into the given platform of the image
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Only show names
    #[arg(short, long)]
    quiet: bool,
    /// Go into directories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// The image, or IMAGE:/PATH
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    image: String,
    /// A directory or file in it; without one, all of it
    #[arg(value_name = "PATH")]
    path: Option<String>,
}

impl Args {
    /// What `image ls IMAGE:/path` means.
    pub fn of(text: &str, format: Option<String>, quiet: bool) -> Self {
        Self { format, platform: None, quiet, recursive: false, image: text.to_owned(), path: None }
    }
}

/// Whether this names a path in an image: no name and no pattern of names has a slash behind a colon.
pub fn is_path(text: &str) -> bool {
    text.contains(":/")
}

/// The image and the path of `IMAGE:/PATH`.
pub fn split(text: &str) -> Option<(&str, &str)> {
    let (image, _) = text.split_once(":/")?;
    Some((image, text.get(image.len() + 1..)?))
}

const LISTING: Listing<Entry> = Listing {
    type_name: "*wharfie.fileContext",
    columns: &[
        Column { name: "GID", header: "GID", value: |entry| entry.gid.into() },
        Column { name: "Mode", header: "MODE", value: |entry| mode(entry).into() },
        Column { name: "Modified", header: "MODIFIED", value: |entry| modified(entry).into() },
        Column { name: "Name", header: "NAME", value: |entry| name(entry).into() },
        Column { name: "Size", header: "SIZE", value: |entry| size(entry).into() },
        Column { name: "Target", header: "TARGET", value: |entry| target(entry).unwrap_or_default().into() },
        Column { name: "Type", header: "TYPE", value: |entry| kind(entry).into() },
        Column { name: "UID", header: "UID", value: |entry| entry.uid.into() },
        Column { name: "Shown", header: "NAME", value: |entry| shown(entry).into() },
    ],
    methods: &[],
    table: &["Mode", "UID", "GID", "Size", "Modified", "Shown"],
    quiet: "Name",
    raw: "",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), false, LISTING)?;
    let (name, path) = match (&args.path, split(&args.image)) {
        (None, Some((name, path))) => (name, path),
        (path, _) => (args.image.as_str(), path.as_deref().unwrap_or("/")),
    };
    let platform = args.platform.as_deref().map(image::platform).transpose().map_err(told)?;
    let engine = cx.engine().await?;
    let found = image::resolve(&engine, name, platform.as_ref()).await.map_err(told)?;
    if path.is_empty() {
        return Err(Error::usage("the path is empty").hint("leave it out for all of the image"));
    }
    let entries = image::files(&engine, &found, path, args.recursive).await.map_err(told)?;
    if !args.quiet {
        format.write(cx.ui, &entries)?;
        return Ok(0);
    }
    let raw = !cx.ui.out_is_terminal();
    for entry in &entries {
        match raw {
            // The name as it is: it need not be text.
            true => cx.ui.write(&[entry.name.as_os_str().as_bytes(), b"\n"].concat())?,
            false => cx.ui.line(self::name(entry))?,
        }
    }
    Ok(0)
}

fn name(entry: &Entry) -> String {
    visible(&entry.name.to_string_lossy()).replace(['\n', '\t'], "?")
}

fn target(entry: &Entry) -> Option<String> {
    match &entry.node {
        Node::Symlink(target) | Node::Hardlink(target) => {
            Some(visible(&target.to_string_lossy()).replace(['\n', '\t'], "?"))
        }
        _ => None,
    }
}

/// As `ls -l` shows it: with what a link leads to.
fn shown(entry: &Entry) -> String {
    match (&entry.node, target(entry)) {
        (Node::Symlink(_), Some(target)) => format!("{} -> {target}", name(entry)),
        (Node::Hardlink(_), Some(target)) => format!("{} = {target}", name(entry)),
        _ => name(entry),
    }
}

/// Bytes; of a device its numbers.
fn size(entry: &Entry) -> String {
    match &entry.node {
        Node::File(bytes) => bytes.to_string(),
        Node::Character(major, minor) | Node::Block(major, minor) => format!("{major},{minor}"),
        _ => "0".into(),
    }
}

fn kind(entry: &Entry) -> &'static str {
    match entry.node {
        Node::Directory => "directory",
        Node::File(_) => "file",
        Node::Symlink(_) => "symlink",
        Node::Hardlink(_) => "hardlink",
        Node::Character(..) => "character device",
        Node::Block(..) => "block device",
        Node::Fifo => "fifo",
    }
}

/// `drwxr-xr-x`.
fn mode(entry: &Entry) -> String {
    let first = match entry.node {
        Node::Directory => 'd',
        Node::File(_) | Node::Hardlink(_) => '-',
        Node::Symlink(_) => 'l',
        Node::Character(..) => 'c',
        Node::Block(..) => 'b',
        Node::Fifo => 'p',
    };
    let mut text = String::from(first);
    for (shift, special, letters) in
        [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])]
    {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        let [with, without] = letters;
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn modified(entry: &Entry) -> String {
    match Timestamp::from_second(entry.modified) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => entry.modified.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, node: Node, mode: u32) -> Entry {
        Entry {
            name: name.into(),
            node,
            mode,
            uid: 0,
            gid: 5,
            modified: 0,
            modified_nanos: 0,
            capability: None,
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn entries_are_shown_as_ls_does() {
        for (node, bits, expected) in [
            (Node::Directory, 0o1777, "drwxrwxrwt"),
            (Node::File(1), 0o4755, "-rwsr-xr-x"),
            (Node::File(1), 0o6644, "-rwSr-Sr--"),
            (Node::Symlink("x".into()), 0o777, "lrwxrwxrwx"),
            (Node::Fifo, 0o600, "prw-------"),
            (Node::Character(1, 3), 0o666, "crw-rw-rw-"),
        ] {
            assert_eq!(mode(&entry("a", node, bits)), expected);
        }
        assert_eq!(shown(&entry("a", Node::Symlink("/b".into()), 0)), "a -> /b");
        assert_eq!(shown(&entry("a\u{1b}[2J\nb", Node::Directory, 0)), "a\\u{1b}[2J?b");
        assert_eq!(size(&entry("a", Node::Block(8, 1), 0)), "8,1");
    }

    #[test]
    fn a_slash_behind_a_colon_begins_a_path() {
        for (text, expected) in [
            ("busybox:/etc", Some(("busybox", "/etc"))),
            ("host:5000/a:1:/", Some(("host:5000/a:1", "/"))),
            ("host:5000/a:1", None),
            ("a/*:[0-9]", None),
        ] {
            assert_eq!(split(text), expected, "{text}");
            assert_eq!(is_path(text), expected.is_some(), "{text}");
        }
    }
}
