//! Making, stopping and removing pods: through CRI, which owns them.
