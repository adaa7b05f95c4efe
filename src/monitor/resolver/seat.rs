//! A container's place at the resolver: its sockets, and how much it may ask.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::net::resolver::Door;

/// Questions a second that one container is answered, and how many at once after a rest.
const RATE: f64 = 5000.0;
const BURST: f64 = 5000.0;
/// What waits for a container at most: questions outside, streams.
const WAITING: usize = 64;
/// What waits for all containers together at most: each is a thread.
const WAITING_IN_ALL: usize = 512;

/// One container's sockets.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) door: Arc<Door>,
    left: f64,
    counted: Instant,
    waiting: Arc<AtomicUsize>,
}

/// A place among those who wait, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Seat {
    /// Opens the sockets in the namespace of that file.
    pub(super) fn open(namespace: &Path) -> Result<Self> {
        let door = Arc::new(Door::open(namespace)?);
        Ok(Self { door, left: BURST, counted: Instant::now(), waiting: Arc::default() })
    }

    /// Takes one question off the container's allowance; false when it must rest.
    pub(super) fn may_ask(&mut self) -> bool {
        self.left = (self.left + self.counted.elapsed().as_secs_f64() * RATE).min(BURST);
        self.counted = Instant::now();
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }

    /// How long the container must rest before it is listened to again.
    pub(super) fn rest(&self) -> Option<Duration> {
        (self.left < 1.0 && self.counted.elapsed().as_secs_f64() * RATE < 100.0)
            .then(|| Duration::from_millis(20))
    }

    /// A place for something that waits; None when the container, or all together, have enough.
    pub(super) fn place(&self, all: &Arc<AtomicUsize>) -> Option<Place> {
        let take = |count: &AtomicUsize, most| {
            count
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < most).then_some(now + 1))
                .is_ok()
        };
        if !take(&self.waiting, WAITING) {
            return None;
        }
        if !take(all, WAITING_IN_ALL) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place(self.waiting.clone(), all.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}
