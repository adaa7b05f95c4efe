//! Bytes on a terminal: tables, templates, units, progress. Knows no containerd type.
