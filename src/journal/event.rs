//! One event, in the schema of docker's API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl Kind {
    /// docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// Something that has happened: docker's `events.Message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What it is about.
    #[serde(rename = "Type")]
    pub kind: Kind,
    /// docker's word: `create`, `start`, `health_status: healthy`.
    #[serde(rename = "Action")]
    pub action: String,
    /// To whom.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// Always `local`.
    pub scope: String,
    /// Unix seconds.
    pub time: i64,
    /// Unix nanoseconds.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// The thing that an event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// A container's or network's id, an image's id or name, a volume's name.
    #[serde(rename = "ID")]
    pub id: String,
    /// `name`, `image`, `exitCode`, and a container's labels.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// An event of this moment.
    pub fn new(kind: Kind, action: impl Into<String>, id: impl Into<String>) -> Self {
        let event = Self {
            kind,
            action: action.into(),
            actor: Actor { id: id.into(), attributes: BTreeMap::new() },
            scope: "local".into(),
            time: 0,
            time_nano: 0,
        };
        event.at(Timestamp::now())
    }

    /// The same with one attribute more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.actor.attributes.insert(key.into(), value.into());
        self
    }

    /// The same at another time.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = time.as_second();
        // Good until the year 2262, as docker's own number is.
        self.time_nano = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        self
    }

    /// When it happened.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanosecond(self.time_nano.into()).unwrap_or_default()
    }
}
