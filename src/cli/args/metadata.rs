//! Flags about what a container is called and where its id is written.

use clap::Args;

use super::Environment;
use super::errors::{invalid, parse_all, refused};
use super::parse::{keyvalue, name};
use super::process::pairs_of;
use crate::Result;
use crate::oci::request::ContainerRequest;

/// `--name`, `-l`, `--cidfile` and their kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Metadata")]
pub struct MetadataArgs {
    /// Assign a name to the container
    #[arg(long, value_name = "string")]
    pub name: Option<String>,
    /// Set meta data on a container
    #[arg(short, long, value_name = "list")]
    pub label: Vec<String>,
    /// Read in a line delimited file of labels
    #[arg(long, value_name = "list")]
    pub label_file: Vec<String>,
    /// Add an annotation to the container (passed through to the OCI runtime)
    #[arg(long, value_name = "map")]
    pub annotation: Vec<String>,
    /// Write the container ID to the file
    #[arg(long, value_name = "string")]
    pub cidfile: Option<String>,
    /// Write the process ID of the container to the file
    #[arg(long, value_name = "string")]
    pub pidfile: Option<String>,
}

impl MetadataArgs {
    /// Fills the request's part. The name stays empty where none is given.
    ///
    /// # Errors
    /// A value that does not parse, a label file that cannot be read.
    pub fn apply(self, request: &mut ContainerRequest, environment: &Environment<'_>) -> Result<()> {
        if let Some(text) = self.name.as_deref().filter(|text| !text.is_empty()) {
            request.name = name::container(text).map_err(refused)?;
        }
        let absolute = |text: &String| environment.current_dir.join(text);
        request.special.pidfile = self.pidfile.as_ref().filter(|text| !text.is_empty()).map(absolute);
        request.special.cidfile = self.cidfile.clone().unwrap_or_default();
        for file in &self.label_file {
            for pair in pairs_of(file, environment, &|_| None)? {
                let (key, value) = keyvalue::split(&pair);
                request.labels.insert(key.to_owned(), value.unwrap_or_default().to_owned());
            }
        }
        request.labels.extend(parse_all(&self.label, "-l, --label", keyvalue::label)?);
        for text in &self.annotation {
            let (key, value) = keyvalue::split(text);
            if key.is_empty() {
                return Err(invalid(text, "--annotation", "the key is empty"));
            }
            request.annotations.insert(key.to_owned(), value.unwrap_or_default().to_owned());
        }
        Ok(())
    }
}
