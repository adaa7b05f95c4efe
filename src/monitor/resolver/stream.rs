//! A container's questions over a stream, one after the other.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::forward;
use super::seat::Place;
use super::serve::{Asker, finish};
use crate::net::resolver::Transport;

/// How long a stream may rest.
const REST: Duration = Duration::from_secs(10);
/// How many questions a stream brings at most.
const MOST: usize = 1000;

/// Serves the stream on a thread of its own until its end.
pub(super) fn serve(mut stream: TcpStream, asker: Asker, place: Place) {
    let work = move || {
        let _place = place;
        let set_up = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_read_timeout(Some(REST)))
            .and_then(|()| stream.set_write_timeout(Some(REST)));
        if set_up.is_err() {
            return;
        }
        let asker = Arc::new(asker);
        for turn in 0..MOST {
            let Ok(question) = forward::read(&mut stream) else { return };
            let Some(answer) = finish(&asker, &question, (Transport::Tcp, turn)) else { return };
            if forward::write(&mut stream, &answer).is_err() {
                return;
            }
        }
    };
    // Without a thread the stream ends here, and the container asks again.
    let _ = super::serve::thread(work);
}
