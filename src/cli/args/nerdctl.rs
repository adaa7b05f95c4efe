//! Flags of `run` and `create` that nerdctl has and docker has not.

use clap::Args;

use super::errors::{invalid, parse_one, unsupported};
use super::parse::keyvalue;
use super::process::given;
use crate::oci::request::{ContainerRequest, Systemd};
use crate::{Error, Result};

/// `--umask`, `--init-binary`, `--systemd` and their kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Beyond docker")]
pub struct NerdctlArgs {
    /// Mode bits that files made by the container do not get (octal)
    #[arg(long, value_name = "octal")]
    pub umask: Option<String>,
    /// Run this program as init, a path or a name on PATH (implies --init)
    #[arg(long, value_name = "string")]
    pub init_binary: Option<String>,
    /// Prepare for systemd as the first process: true (where the command is systemd or an init), always, false
    #[arg(long, value_name = "string")]
    pub systemd: Option<String>,
    /// Write a file of the unified control group (memory.high=1G)
    #[arg(long, value_name = "list")]
    pub cgroup_conf: Vec<String>,
    /// Class of service of Intel's resource director
    #[arg(long, value_name = "string")]
    pub rdt_class: Option<String>,
    /// Verify the image: none is the only way that there is
    #[arg(long, value_name = "string", hide = true)]
    pub verify: Option<String>,
    /// cosign's key
    #[arg(long, value_name = "string", hide = true)]
    pub cosign_key: Option<String>,
    /// cosign's certificate identity
    #[arg(long, value_name = "string", hide = true)]
    pub cosign_certificate_identity: Option<String>,
    /// cosign's certificate identity as a regular expression
    #[arg(long, value_name = "string", hide = true)]
    pub cosign_certificate_identity_regexp: Option<String>,
    /// cosign's certificate issuer
    #[arg(long, value_name = "string", hide = true)]
    pub cosign_certificate_oidc_issuer: Option<String>,
    /// cosign's certificate issuer as a regular expression
    #[arg(long, value_name = "string", hide = true)]
    pub cosign_certificate_oidc_issuer_regexp: Option<String>,
    /// Address of an IPFS daemon
    #[arg(long, value_name = "string", hide = true)]
    pub ipfs_address: Option<String>,
}

impl NerdctlArgs {
    /// Fills the request's part; after the process's, whose `--init` it may imply.
    ///
    /// # Errors
    /// A value that does not parse, what cannot be done here.
    pub fn apply(self, request: &mut ContainerRequest) -> Result<()> {
        self.reject()?;
        let special = &mut request.special;
        let octal = |text: &str| match u32::from_str_radix(text, 8) {
            Ok(mask) if mask <= 0o777 => Ok(mask),
            _ => Err("it is an octal number up to 777".to_owned()),
        };
        special.umask = parse_one(given(self.umask).as_deref(), "--umask", octal)?;
        special.init_binary = given(self.init_binary);
        request.init |= special.init_binary.is_some();
        special.rdt_class = given(self.rdt_class);
        special.systemd = match self.systemd.as_deref().unwrap_or("false") {
            "false" => Systemd::Never,
            "true" => Systemd::Detect,
            "always" => Systemd::Always,
            other => return Err(invalid(other, "--systemd", "it is true, false or always")),
        };
        for text in &self.cgroup_conf {
            match keyvalue::split(text) {
                (file, Some(value)) if !file.is_empty() && !file.contains('/') => {
                    special.unified.insert(file.to_owned(), value.to_owned());
                }
                _ => return Err(invalid(text, "--cgroup-conf", "write it as FILE=VALUE")),
            }
        }
        Ok(())
    }

    fn reject(&self) -> Result<()> {
        const NO_VERIFIER: &str = "wharfie verifies digests, not signatures";
        if let Some(way) = self.verify.as_deref().filter(|way| !matches!(*way, "" | "none")) {
            return Err(unsupported(&format!("--verify {way}"), NO_VERIFIER));
        }
        for (flag, value) in [
            ("--cosign-key", &self.cosign_key),
            ("--cosign-certificate-identity", &self.cosign_certificate_identity),
            ("--cosign-certificate-identity-regexp", &self.cosign_certificate_identity_regexp),
            ("--cosign-certificate-oidc-issuer", &self.cosign_certificate_oidc_issuer),
            ("--cosign-certificate-oidc-issuer-regexp", &self.cosign_certificate_oidc_issuer_regexp),
        ] {
            if value.as_deref().is_some_and(|value| !value.is_empty()) {
                return Err(unsupported(flag, NO_VERIFIER));
            }
        }
        match self.ipfs_address.as_deref().filter(|address| !address.is_empty()) {
            Some(_) => {
                Err(Error::usage("--ipfs-address is not supported: wharfie speaks to registries only"))
            }
            None => Ok(()),
        }
    }
}
