//! containerd over gRPC: the only room that names its client and protobuf types.
