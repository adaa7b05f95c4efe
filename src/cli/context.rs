//! What a verb has at hand: the settings, the terminal, and the engine once it asks for it.

use std::sync::Arc;

use crate::config::Config;
use crate::config::environment::Environment;
use crate::engine::Engine;
use crate::engine::container::recover_if_due;
use crate::error::Result;
use crate::output::ui::Ui;

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
}

impl<'a> Context<'a> {
    /// With no connection yet.
    pub fn new(program: &str, config: Config, environment: Environment, ui: &'a mut Ui) -> Self {
        Self { program: program.into(), config: Arc::new(config), environment, ui, engine: None }
    }

    /// The engine: connects at the first call, so that a wrong flag fails before.
    pub async fn engine(&mut self) -> Result<Engine> {
        if let Some(engine) = &self.engine {
            return Ok(engine.clone());
        }
        let engine = Engine::connect(Arc::clone(&self.config)).await?;
        recover_if_due(&engine).await;
        self.engine = Some(engine.clone());
        Ok(engine)
    }
}
