//! What a verb's own flags say about registries: nerdctl takes its global ones behind the verb as well.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::Context;

/// Flags of verbs that talk to a registry.
#[derive(Debug, Default, clap::Args)]
pub struct RegistryArgs {
    /// Allow the registry plain HTTP, or a certificate that cannot be verified
    #[arg(long)]
    insecure_registry: bool,
    /// Read registry hosts from here
    #[arg(long, value_name = "DIR", value_delimiter = ',', hide = true)]
    hosts_dir: Vec<PathBuf>,
}

impl RegistryArgs {
    /// Settle them with what the global flags say.
    pub fn apply(&self, cx: &mut Context<'_>) {
        let directories = self.hosts_dir.iter().map(|path| cx.environment.directory.join(path)).collect();
        let config = Arc::make_mut(&mut cx.config);
        config.insecure_registry |= self.insecure_registry;
        if !self.hosts_dir.is_empty() {
            config.hosts_dirs = directories;
        }
    }
}
