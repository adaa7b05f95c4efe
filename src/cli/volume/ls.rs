//! `volume ls`: list volumes.

use super::row::{LISTING, Row};
use crate::cli::Context;
use crate::cli::args::parse::number;
use crate::cli::errors::EngineResult;
use crate::engine::container;
use crate::engine::volume::{VolumeUsage, list, sweep, volumes};
use crate::error::{Error, Result};
use crate::output::units::parse_ram;
use crate::output::{Format, Listing};

/// Flags of `volume ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie volume ls\n  wharfie volume ls --size -f dangling=true\n  \
    wharfie volume ls --format '{{.Name}}: {{.Mountpoint}}'")]
pub struct Args {
    /// Display only cluster volumes, of which there are none
    #[arg(long)]
    cluster: bool,
    /// Provide filter values (e.g. "dangling=true")
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Only display volume names
    #[arg(short, long)]
    quiet: bool,
    /// Display the disk usage of volumes
    #[arg(short, long)]
    size: bool,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let filters = Filters::parse(&args.filter)?;
    let listing = Listing {
        table: match (args.cluster, args.size) {
            (true, _) => &["Name", "Group", "Driver", "Availability", "Status"],
            (_, true) => &["Driver", "Name", "Size"],
            _ => LISTING.table,
        },
        ..LISTING
    };
    let given = if args.cluster { None } else { args.format.as_deref().filter(|text| *text != "wide") };
    let format = cx.format(given, args.quiet || args.cluster || args.size, |file| file.volumes_format)?;
    let format = Format::parse(format.as_deref(), args.quiet, listing)?;
    let engine = cx.engine().await?;
    // What cannot be taken away is not in the list either.
    let _ = sweep(&engine);
    let mut rows = Vec::new();
    if !args.cluster {
        let sizes = args.size || !filters.sizes.is_empty();
        let all = if sizes || filters.dangling.is_some() {
            let containers = container::list(&engine).await.told()?;
            volumes(&engine, &containers, sizes).await.told()?
        } else {
            let unused = |volume| VolumeUsage { volume, links: 0, bytes: None };
            list(&engine).told()?.into_iter().map(unused).collect()
        };
        let matching = all.into_iter().filter(|one| filters.matches(one));
        let usage = |one: &VolumeUsage| args.size.then_some((one.links, one.bytes));
        rows.extend(matching.map(|one| Row { usage: usage(&one), volume: one.volume }));
    }
    format.write(cx.ui, &rows)?;
    Ok(0)
}

/// docker's filters: values of one key are alternatives (labels: all must hold), keys must all hold. nerdctl has
/// `size` beside them.
#[derive(Debug, Default)]
struct Filters {
    dangling: Option<bool>,
    drivers: Vec<String>,
    labels: Vec<String>,
    names: Vec<String>,
    sizes: Vec<(Comparison, u64)>,
}

/// How a size is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

impl Filters {
    fn parse(texts: &[String]) -> Result<Self> {
        let mut filters = Self::default();
        for text in texts {
            if let Some((comparison, size)) = size(text) {
                let bytes = parse_ram(size).ok().and_then(|bytes| u64::try_from(bytes).ok());
                let bytes = bytes.ok_or_else(|| {
                    Error::usage(format!(
                        "invalid argument {text:?} for \"-f, --filter\" flag: invalid size: '{size}'"
                    ))
                    .hint("write it as size>=100m")
                })?;
                filters.sizes.push((comparison, bytes));
                continue;
            }
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!(
                    "invalid argument {text:?} for \"-f, --filter\" flag: invalid filter '{text}'"
                ))
                .hint("write it as KEY=VALUE")
            })?;
            let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
            match key.as_str() {
                "dangling" => {
                    let wanted = number::switch(&value).map_err(|_| {
                        Error::failed(format!(
                            "Error response from daemon: invalid filter 'dangling=[{value}]'"
                        ))
                        .hint("it is true or false")
                    })?;
                    if filters.dangling.is_some_and(|known| known != wanted) {
                        return Err(Error::failed(
                            "Error response from daemon: invalid filter 'dangling=[true false]'",
                        ));
                    }
                    filters.dangling = Some(wanted);
                }
                "driver" => filters.drivers.push(value),
                "label" => filters.labels.push(value),
                "name" => filters.names.push(value),
                _ => {
                    return Err(Error::failed(format!("Error response from daemon: invalid filter '{key}'"))
                        .hint("the filters are dangling, driver, label, name, size"));
                }
            }
        }
        Ok(filters)
    }

    fn matches(&self, one: &VolumeUsage) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => one.volume.labels.get(key).is_some_and(|found| found == value),
            None => one.volume.labels.contains_key(wanted),
        };
        let holds = |(comparison, size): &(Comparison, u64)| {
            let bytes = one.bytes.unwrap_or_default();
            match comparison {
                Comparison::Equal => bytes == *size,
                Comparison::Less => bytes < *size,
                Comparison::LessOrEqual => bytes <= *size,
                Comparison::More => bytes > *size,
                Comparison::MoreOrEqual => bytes >= *size,
            }
        };
        self.dangling.is_none_or(|dangling| dangling == (one.links == 0))
            && (self.drivers.is_empty() || self.drivers.iter().any(|driver| driver == "local"))
            && self.labels.iter().all(has)
            && (self.names.is_empty() || self.names.iter().any(|name| one.volume.name.contains(name)))
            && self.sizes.iter().all(holds)
    }
}

/// `size=N`, `size>=N` and so on.
fn size(text: &str) -> Option<(Comparison, &str)> {
    let rest = text.strip_prefix("size")?;
    [
        (">=", Comparison::MoreOrEqual),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::More),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ]
    .into_iter()
    .find_map(|(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::volume::Volume;

    #[test]
    fn filters_are_dockers_and_nerdctls() {
        let one = VolumeUsage {
            volume: Volume {
                name: "data-1".into(),
                labels: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())].into(),
                ..Volume::default()
            },
            links: 1,
            bytes: Some(2048),
        };
        for (texts, expected) in [
            (&[][..], true),
            (&["name=ata"], true),
            (&["name=x", "name=data"], true),
            (&["name=x"], false),
            (&["driver=local"], true),
            (&["driver=nfs"], false),
            (&["label=a"], true),
            (&["label=a=1", "label=b"], true),
            (&["label=a=1", "label=c"], false),
            (&["dangling=false"], true),
            (&["dangling=1"], false),
            (&["size=2k"], true),
            (&["size>1k", "size<=2048"], true),
            (&["size>=3k"], false),
            (&["size<2048"], false),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(Filters::parse(&texts).unwrap().matches(&one), expected, "{texts:?}");
        }
        for (text, message) in [
            ("colour=red", "Error response from daemon: invalid filter 'colour'"),
            ("dangling=maybe", "Error response from daemon: invalid filter 'dangling=[maybe]'"),
            ("name", "invalid argument \"name\" for \"-f, --filter\" flag: invalid filter 'name'"),
            ("size>x", "invalid argument \"size>x\" for \"-f, --filter\" flag: invalid size: 'x'"),
        ] {
            assert_eq!(Filters::parse(&[text.to_owned()]).unwrap_err().message, message);
        }
    }
}
