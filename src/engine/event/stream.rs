//! One stream of two sources: the journal's past and present, and containerd's present.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Filters;
use super::foreign::{Foreign, is_told, may_be_told};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::{Event, Reader};

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// None begins now.
    pub since: Option<Timestamp>,
    /// None never ends.
    pub until: Option<Timestamp>,
    /// Which kinds and whose.
    pub filters: Filters,
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Result<Event>>,
}

/// How long to wait for a change before looking whether anybody still listens.
const TICK: Duration = Duration::from_millis(100);
/// How long a foreign event is kept back that the journal may tell of too, in seconds.
const KEPT_BACK: i64 = 1;
/// So many of the journal's last events tell what is known already.
const REMEMBERED: usize = 256;

/// The events that `query` asks for. The stream ends at `until`, with containerd, or when it is dropped.
///
/// # Errors
/// The journal cannot be read; containerd cannot be listened to.
pub async fn events(engine: &Engine, query: Query) -> Result<Events> {
    let (sender, receiver) = mpsc::channel(64);
    let now = Timestamp::now();
    // Listening begins before the call returns: nothing that the caller does next is missed.
    let live = query.until.is_none_or(|until| until > now);
    let told = if live {
        let stream = engine.containerd.subscribe().await?;
        Some((stream, Foreign::new(engine).await))
    } else {
        None
    };
    let reader = engine.journal().reader()?;
    let (foreign, from_foreign) = mpsc::channel(64);
    if let Some((mut stream, mut known)) = told {
        tokio::spawn(async move {
            loop {
                let event = match stream.next().await {
                    Ok(Some(told)) => known.translate(&told).await.map(Ok),
                    Ok(None) => Some(Err(Error::failed("containerd has closed the stream of events")
                        .hint("it was stopped or restarted: run the command again"))),
                    Err(error) => Some(Err(error.into())),
                };
                let Some(event) = event else { continue };
                let ended = event.is_err();
                if foreign.send(event).await.is_err() || ended {
                    return;
                }
            }
        });
    }
    let mixer = Mixer { query, now, sender, recent: VecDeque::new(), waiting: VecDeque::new() };
    tokio::task::spawn_blocking(move || mixer.run(reader, from_foreign));
    Ok(Events { receiver })
}

impl Events {
    /// The next event; None at the end.
    ///
    /// # Errors
    /// containerd went away, or the journal could not be read.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        self.receiver.recv().await.transpose()
    }
}

struct Mixer {
    query: Query,
    now: Timestamp,
    sender: mpsc::Sender<Result<Event>>,
    /// The journal's last events.
    recent: VecDeque<Event>,
    /// Foreign events that the journal may tell of too.
    waiting: VecDeque<Event>,
}

/// Nobody listens any more, or everything was told.
struct Over;

impl Mixer {
    fn run(mut self, mut reader: Reader, mut foreign: mpsc::Receiver<Result<Event>>) {
        // Whoever called has gone: there is nobody to tell.
        let _ = self.mix(&mut reader, &mut foreign);
    }

    fn mix(
        &mut self,
        reader: &mut Reader,
        foreign: &mut mpsc::Receiver<Result<Event>>,
    ) -> std::result::Result<(), Over> {
        loop {
            // Before the look at the journal: what was written until then is told.
            let ends = self.query.until.is_some_and(|until| until <= Timestamp::now());
            let mut found = Vec::new();
            if let Err(error) = reader.read(&mut |event| found.push(event)) {
                let _ = self.sender.blocking_send(Err(error));
                return Err(Over);
            }
            for event in found {
                self.tell(&event)?;
                self.recent.push_back(event);
                if self.recent.len() > REMEMBERED {
                    self.recent.pop_front();
                }
            }
            while let Ok(event) = foreign.try_recv() {
                match event {
                    Ok(event) if may_be_told(&event) => self.waiting.push_back(event),
                    Ok(event) => self.tell(&event)?,
                    Err(error) => {
                        let _ = self.sender.blocking_send(Err(error));
                        return Err(Over);
                    }
                }
            }
            self.tell_waiting()?;
            if ends || self.sender.is_closed() {
                return Err(Over);
            }
            reader.wait(TICK);
        }
    }

    fn tell_waiting(&mut self) -> std::result::Result<(), Over> {
        let now = Timestamp::now().as_second();
        while self.waiting.front().is_some_and(|event| now - event.time > KEPT_BACK) {
            if let Some(event) = self.waiting.pop_front()
                && !is_told(&event, self.recent.make_contiguous())
            {
                self.tell(&event)?;
            }
        }
        Ok(())
    }

    fn tell(&self, event: &Event) -> std::result::Result<(), Over> {
        let at = event.timestamp();
        let wanted = at >= self.query.since.unwrap_or(self.now)
            && self.query.until.is_none_or(|until| at <= until)
            && self.query.filters.include(event);
        if !wanted {
            return Ok(());
        }
        self.sender.blocking_send(Ok(event.clone())).map_err(|_| Over)
    }
}
