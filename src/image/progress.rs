//! What a pull, a load or an import tells while it works. The bars live in cli.

use std::time::Duration;

/// Where a layer is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerState {
    /// It will be fetched.
    Waiting,
    /// `done` of `total` bytes are here.
    Downloading {
        /// Bytes here.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The connection broke: the next try comes after that time.
    Retrying(Duration),
    /// Its digest is being compared.
    Verifying,
    /// It is being unpacked.
    Extracting,
    /// It is in place.
    Done,
    /// It was there before.
    Exists,
}

/// One thing to tell.
#[derive(Debug)]
pub enum Event<'a> {
    /// The image is not here and will be pulled.
    Missing {
        /// As a user writes it: `busybox:latest`.
        name: &'a str,
    },
    /// The registry is asked.
    Pulling {
        /// The tag or digest.
        identifier: &'a str,
        /// Repository in its registry: `library/busybox`.
        repository: &'a str,
    },
    /// The image is here.
    Pulled {
        /// As a user writes it.
        name: &'a str,
        /// What the name points at.
        digest: &'a str,
        /// Whether anything of it is new here.
        is_new: bool,
    },
    /// Hosts that have sent something else than the blob they were asked for; another one is asked.
    Distrusted {
        /// `sha256:…`.
        digest: &'a str,
        /// Their names.
        hosts: &'a str,
    },
    /// A layer that the registry took from another repository of its own.
    Mounted {
        /// `sha256:…`.
        digest: &'a str,
        /// That repository: `library/busybox`.
        from: &'a str,
    },
    /// A layer, by its blob's digest.
    Layer {
        /// `sha256:…`.
        digest: &'a str,
        /// Where it is now.
        state: LayerState,
    },
}

/// Takes what is told. Called often: must be quick.
pub trait Progress: Send + Sync {
    /// One thing happened.
    fn report(&self, event: Event<'_>);

    /// A layer moved on.
    fn layer(&self, digest: &str, state: LayerState) {
        self.report(Event::Layer { digest, state });
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _: Event<'_>) {}
}
