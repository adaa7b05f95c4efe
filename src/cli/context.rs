//! What a verb has at hand: the settings, the terminal, and the engine once it asks for it.

use std::sync::Arc;

use crate::config::Config;
use crate::config::docker::DockerFile;
use crate::config::environment::Environment;
use crate::engine::container::recover_if_due;
use crate::engine::{Engine, node, pod};
use crate::error::Result;
use crate::output::ui::Ui;
use crate::remote::Forward;

/// A verb's surroundings.
pub struct Context<'a> {
    /// The name that the program was called by: `wharfie`, `docker` or `nerdctl`.
    pub program: String,
    /// The settled global settings.
    pub config: Arc<Config>,
    /// The environment.
    pub environment: Environment,
    /// The terminal.
    pub ui: &'a mut Ui,
    engine: Option<Engine>,
    forward: Option<Forward>,
    docker_file: Option<DockerFile>,
}

impl<'a> Context<'a> {
    /// With no connection yet.
    pub fn new(program: &str, config: Config, environment: Environment, ui: &'a mut Ui) -> Self {
        Self {
            program: program.into(),
            config: Arc::new(config),
            environment,
            ui,
            engine: None,
            forward: None,
            docker_file: None,
        }
    }

    /// With a connection that forwards another machine's socket.
    #[must_use]
    pub fn over(self, forward: Option<Forward>) -> Self {
        Self { forward, ..self }
    }

    /// docker's config.json. One that cannot be read is warned of once, as docker does, and says nothing.
    pub fn docker_file(&mut self) -> Result<DockerFile> {
        if self.docker_file.is_none() {
            let file = match DockerFile::read(&self.config.docker_config) {
                Ok(file) => file,
                Err(error) => {
                    self.ui.warn(error)?;
                    DockerFile::default()
                }
            };
            self.docker_file = Some(file);
        }
        Ok(self.docker_file.clone().unwrap_or_default())
    }

    /// A list's format: `--format`, or without one (and without `--quiet`) what `configured` picks of docker's
    /// config.json (`psFormat`, `statsFormat`, …).
    pub fn format(
        &mut self,
        given: Option<&str>,
        quiet: bool,
        configured: fn(DockerFile) -> String,
    ) -> Result<Option<String>> {
        match given.filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(text.to_owned())),
            None if quiet => Ok(None),
            None => Ok(Some(configured(self.docker_file()?)).filter(|text| !text.is_empty())),
        }
    }

    /// The engine: connects at the first call, so that a wrong flag fails before.
    pub async fn engine(&mut self) -> Result<Engine> {
        if let Some(engine) = &self.engine {
            return Ok(engine.clone());
        }
        let engine = match (&self.forward, &self.config.node) {
            (Some(forward), Some(node)) => node::connect(Arc::clone(&self.config), node, forward).await?,
            _ => {
                let engine = Engine::connect(Arc::clone(&self.config)).await?;
                recover_if_due(&engine).await;
                engine
            }
        };
        self.engine = Some(engine.clone());
        Ok(engine)
    }

    /// The engine for pods: in the namespace where CRI keeps them, unless the user named another.
    pub async fn pod_engine(&mut self) -> Result<Engine> {
        pod_engine(&self.engine().await?)
    }
}

/// The same engine in the namespace where CRI keeps pods, unless the user named another.
pub fn pod_engine(engine: &Engine) -> Result<Engine> {
    if engine.config.namespace_given { Ok(engine.clone()) } else { engine.in_namespace(pod::NAMESPACE) }
}
