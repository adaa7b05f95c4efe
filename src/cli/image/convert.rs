//! `image convert`: an image once more, in another form.

use serde_json::json;

use super::progress::Bars;
use super::{platforms, told};
use crate::cli::Context;
use crate::cli::args::errors::{invalid, unsupported};
use crate::engine::image::{self, ConvertRequest};
use crate::error::{Error, Kind, Result};
use crate::image::recompress::Form;
use crate::registry::Reference;

/// Flags of `image convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie image convert --zstd app:1 app:1-zstd\n  \
    wharfie image convert --oci --all-platforms app:1 registry.example/app:1")]
pub struct Args {
    /// Convert the layers to zstd; the image is OCI's then
    #[arg(long, conflicts_with = "uncompress")]
    zstd: bool,
    /// zstd's compression level, 1 to 22
    #[arg(long, value_name = "int", default_value_t = 3)]
    zstd_compression_level: i32,
    /// Convert the layers to uncompressed ones
    #[arg(long)]
    uncompress: bool,
    /// Convert Docker media types to OCI media types
    #[arg(long)]
    oci: bool,
    /// Convert content for a specific platform
    #[arg(long, value_name = "strings")]
    platform: Vec<String>,
    /// Convert content for all platforms
    #[arg(long)]
    all_platforms: bool,
    /// Print the result as 'json'
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    format: String,
    #[command(flatten)]
    refused: RefusedArgs,
    /// The image
    #[arg(value_name = "SOURCE_IMAGE[:TAG]", required = true, add = crate::cli::names::images())]
    source: String,
    /// The result's name
    #[arg(value_name = "TARGET_IMAGE[:TAG]", required = true)]
    target: String,
}

/// nerdctl's forms for snapshotters that fetch while a container runs, and how to make them.
#[derive(Debug, clap::Args)]
struct RefusedArgs {
    /// Refused: it needs the stargz snapshotter
    #[arg(long, hide = true)]
    estargz: bool,
    /// Refused: it needs the stargz snapshotter
    #[arg(long, hide = true)]
    zstdchunked: bool,
    /// Refused: it needs the nydus snapshotter
    #[arg(long, hide = true)]
    nydus: bool,
    /// Refused: it needs the overlaybd snapshotter
    #[arg(long, hide = true)]
    overlaybd: bool,
    /// Refused: it needs the soci snapshotter
    #[arg(long, hide = true)]
    soci: bool,
    #[arg(long, value_name = "int", hide = true)]
    estargz_chunk_size: Option<i64>,
    #[arg(long, value_name = "int", hide = true)]
    estargz_compression_level: Option<i64>,
    #[arg(long, hide = true)]
    estargz_external_toc: bool,
    #[arg(long, value_name = "string", hide = true)]
    estargz_gzip_helper: Option<String>,
    #[arg(long, hide = true)]
    estargz_keep_diff_id: bool,
    #[arg(long, value_name = "int", hide = true)]
    estargz_min_chunk_size: Option<i64>,
    #[arg(long, value_name = "string", hide = true)]
    estargz_record_in: Option<String>,
    #[arg(long, value_name = "int", hide = true)]
    zstdchunked_chunk_size: Option<i64>,
    #[arg(long, value_name = "int", hide = true)]
    zstdchunked_compression_level: Option<i64>,
    #[arg(long, value_name = "string", hide = true)]
    zstdchunked_record_in: Option<String>,
    #[arg(long, value_name = "string", hide = true)]
    nydus_builder_path: Option<String>,
    #[arg(long, value_name = "string", hide = true)]
    nydus_compressor: Option<String>,
    #[arg(long, value_name = "string", hide = true)]
    nydus_prefetch_patterns: Option<String>,
    #[arg(long, value_name = "string", hide = true)]
    nydus_work_dir: Option<String>,
    #[arg(long, value_name = "string", hide = true)]
    overlaybd_dbstr: Option<String>,
    #[arg(long, value_name = "string", hide = true)]
    overlaybd_fs_type: Option<String>,
    #[arg(long, value_name = "int", hide = true)]
    overlaybd_vsize: Option<i64>,
    #[arg(long, value_name = "int", allow_hyphen_values = true, hide = true)]
    soci_min_layer_size: Option<i64>,
    #[arg(long, value_name = "int", allow_hyphen_values = true, hide = true)]
    soci_span_size: Option<i64>,
}

impl RefusedArgs {
    fn check(&self) -> Result<()> {
        for (given, flag, snapshotter) in [
            (self.estargz, "--estargz", "stargz"),
            (self.zstdchunked, "--zstdchunked", "stargz"),
            (self.nydus, "--nydus", "nydus"),
            (self.overlaybd, "--overlaybd", "overlaybd"),
            (self.soci, "--soci", "soci"),
        ] {
            if given {
                let why =
                    format!("its layers are for the {snapshotter} snapshotter alone; --zstd is for all");
                return Err(unsupported(flag, why));
            }
        }
        // The others say how to do what is refused above.
        Ok(())
    }
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    args.refused.check()?;
    if !(1..=22).contains(&args.zstd_compression_level) {
        let level = args.zstd_compression_level.to_string();
        return Err(invalid(&level, "--zstd-compression-level", "it is a number from 1 to 22"));
    }
    if !matches!(args.format.as_str(), "" | "json") {
        return Err(invalid(&args.format, "--format", "it is json"));
    }
    let platforms = platforms(&args.platform)?;
    let target = Reference::parse(&args.target).map_err(told)?.with_default_tag();
    if target.digest().is_some() {
        return Err(Error::new(Kind::Failed, "refusing to create a tag with a digest reference"));
    }
    let layers = match (args.zstd, args.uncompress) {
        (true, _) => Some(Form::Zstd(args.zstd_compression_level)),
        (false, true) => Some(Form::Plain),
        (false, false) => None,
    };
    let request = ConvertRequest { layers, oci: args.oci, platforms, all_platforms: args.all_platforms };
    let engine = cx.engine().await?;
    let bars = Bars::of_conversion(cx.ui);
    let made = image::convert(&engine, &args.source, &target, &request, &bars).await;
    bars.finish();
    let made = made.map_err(told)?;
    match args.format.as_str() {
        "json" => {
            let image = json!(format!("{}@{}", target.canonical(), made.digest()));
            cx.ui.line(format_args!("{{\n    \"Image\": {image},\n    \"ExtraImages\": null\n}}"))?;
        }
        _ => cx.ui.line(made.digest())?,
    }
    Ok(0)
}
