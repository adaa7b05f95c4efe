//! Layers and archives.
