//! Another machine's containerd, over its forwarded socket.

use std::sync::Arc;

use super::Engine;
use crate::config::Config;
use crate::config::node::Node;
use crate::error::{Error, Kind, Result};
use crate::remote::Forward;

/// `config` for the containerd behind `forward`: its sockets, and no directory of this machine's that another
/// containerd could have.
pub fn settings(config: &Config, forward: &Forward) -> Config {
    Config {
        addresses: forward.sockets().to_vec(),
        data_root: forward.directory().join("data"),
        run_root: forward.directory().join("run"),
        ..config.clone()
    }
}

/// Connect to the first socket behind `forward` at which containerd answers. Afterwards the sockets are gone from the
/// file system: the connection stands, and a killed process leaves nothing.
///
/// # Errors
/// containerd does not answer there; ssh's own words on it.
pub async fn connect(config: Arc<Config>, node: &Node, forward: &Forward) -> Result<Engine> {
    let mut failure = None;
    for socket in forward.sockets() {
        let config = Config { addresses: vec![socket.clone()], ..Config::clone(&config) };
        // ssh takes any connection: only an answer tells that there is somebody at the other end.
        let attempt = async {
            let engine = Engine::reach(Arc::new(config)).await?;
            engine.containerd.version().await?;
            Ok::<_, Error>(Engine { containerd: engine.containerd.clone().of_another_machine(), ..engine })
        };
        match attempt.await {
            Ok(engine) => {
                forward.connected();
                return Ok(engine);
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let told = failure.map(|error| error.message).unwrap_or_default();
    let told = forward.complaint().unwrap_or(told);
    Err(Error::new(Kind::Unavailable, format!("cannot connect to containerd of {node}: {told}"))
        .hint("is it running there? its sshd must allow forwarding (AllowStreamLocalForwarding yes)"))
}
