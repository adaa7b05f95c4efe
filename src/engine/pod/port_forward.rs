//! Forwarding ports into a pod's network.
