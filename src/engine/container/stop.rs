//! Ending a container from outside: stop, kill and restart.

use std::time::Duration;

use super::end::{finish, finish_held, read_state, write_state};
use super::hold::hold;
use super::hung;
use super::model::{Container, Status};
use super::start::{StartOptions, start_held};
use crate::containerd::TaskStatus;
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::oci::request::RestartPolicy;

/// docker's grace between the stop signal and SIGKILL.
const GRACE: i64 = 10;

/// After SIGKILL a process is gone at once, unless the kernel holds it.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// How long a shim may take to tell whether its container is still frozen.
const ANSWER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(20);

/// Ask the container to end: the stop signal, then SIGKILL after `timeout` seconds (None: the container's own
/// or ten; negative: never). One that does not run is fine.
pub async fn stop(
    engine: &Engine,
    container: &mut Container,
    signal: Option<&str>,
    timeout: Option<i64>,
) -> Result<()> {
    if container.status == Status::Unknown {
        return Err(hung::error(container));
    }
    let told = {
        let _held = hold(&engine.paths.container(&container.id)).await?;
        look_again(engine, container).await?;
        tell_stopped(engine, container).await?
    };
    if !told {
        return Ok(());
    }
    let ended = match halt(engine, container, signal, timeout).await {
        Ok(()) => finish(engine, container).await.map(drop),
        halted => halted,
    };
    let Err(error) = ended else {
        engine.note(&[event::of_container(container, "stop")]);
        return Ok(());
    };
    if error.kind == Kind::Unavailable {
        return Err(error);
    }
    // Another command, or its own automatic removal, may have ended it under our hands: then it is as was asked.
    match super::find(engine, &container.id).await {
        Ok(seen) if seen.status.is_alive() || seen.status == Status::Unknown => Err(error),
        Ok(_) => Ok(()),
        Err(gone) if gone.kind == Kind::NotFound => Ok(()),
        Err(_) => Err(error),
    }
}

/// What it is now: another command may have been at it while this one waited for the lock.
async fn look_again(engine: &Engine, container: &mut Container) -> Result<()> {
    *container = super::find(engine, &container.id).await?;
    Ok(())
}

/// Keep in the state that the user wants the end. False when it has ended and nothing will start it again.
async fn tell_stopped(engine: &Engine, container: &mut Container) -> Result<bool> {
    let ended = matches!(container.status, Status::Created | Status::Exited | Status::Dead);
    // One with a policy may have ended a moment ago: whoever looks after that must find the user's wish.
    let policy = container.record.as_ref().map(|record| record.request.restart).unwrap_or_default();
    if ended && (policy == RestartPolicy::No || container.status == Status::Created) {
        return Ok(false);
    }
    let mut state = container.state.clone();
    state.stopped_by_user = true;
    state.restarting = false;
    write_state(engine, container, state).await?;
    Ok(true)
}

/// Stop and start again, whatever the state was.
pub async fn restart(
    engine: &Engine,
    container: &mut Container,
    signal: Option<&str>,
    timeout: Option<i64>,
) -> Result<()> {
    // What cannot be started again must not be stopped.
    container.record()?;
    // Held until it runs again: otherwise its monitor would take the end for the last one, and `--rm` at it.
    let _held = hold(&engine.paths.container(&container.id)).await?;
    look_again(engine, container).await?;
    if tell_stopped(engine, container).await? {
        halt(engine, container, signal, timeout).await?;
        look_again(engine, container).await?;
        finish_held(engine, container).await?;
        engine.note(&[event::of_container(container, "stop")]);
    }
    start_held(engine, container, StartOptions::default()).await?;
    engine.note(&[event::of_container(container, "restart")]);
    Ok(())
}

/// Send a signal. SIGKILL and the like end the container; no policy starts it again, as with docker.
pub async fn kill(engine: &Engine, container: &mut Container, signal: &str) -> Result<()> {
    let number = signal_number(signal)?;
    if !container.status.is_alive() && container.status != Status::Unknown {
        return Err(Error::conflict(format!(
            "cannot kill container: {}: container {} is not running",
            container.name, container.id
        )));
    }
    let ends = number == 9 || number == stop_signal(container, None)?;
    if ends && !container.state.stopped_by_user {
        remember_stop(engine, container).await?;
    }
    engine
        .containerd
        .kill(&container.id, "", number, false)
        .await
        .map_err(|error| Error::from(error).context(format!("cannot kill container: {}", container.name)))?;
    note_signal(engine, container, number);
    // docker's rule: a signal that ends the container thaws it, and so does any where no other signal is said to.
    let says = container.record.as_ref().is_some_and(|record| record.request.stop_signal.is_some());
    if container.status == Status::Paused && (ends || !says) {
        thaw(engine, &container.id).await?;
    }
    Ok(())
}

/// The user wants it to end: no policy starts it again.
async fn remember_stop(engine: &Engine, container: &mut Container) -> Result<()> {
    if container.record.is_none() {
        return Ok(());
    }
    let _held = hold(&engine.paths.container(&container.id)).await?;
    // What a start or an end has written since we looked is kept.
    let mut state = read_state(engine, &container.id).await?;
    state.stopped_by_user = true;
    state.restarting = false;
    write_state(engine, container, state).await
}

async fn halt(
    engine: &Engine,
    container: &mut Container,
    signal: Option<&str>,
    timeout: Option<i64>,
) -> Result<()> {
    let signal = stop_signal(container, signal)?;
    let own = container.record.as_ref().and_then(|record| record.request.stop_timeout);
    let grace = timeout.or(own).unwrap_or(GRACE);
    let id = container.id.clone();
    let ended = engine.containerd.wait(&id, "");
    tokio::pin!(ended);
    send(engine, container, signal).await?;
    if container.status == Status::Paused {
        thaw(engine, &id).await?;
    }
    let in_time = match u64::try_from(grace) {
        Ok(seconds) => tokio::time::timeout(Duration::from_secs(seconds), &mut ended).await,
        Err(_) => Ok((&mut ended).await),
    };
    match in_time {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if error.is_not_found() => {}
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => {
            send(engine, container, 9).await?;
            match tokio::time::timeout(AFTER_KILL, &mut ended).await {
                Ok(Err(error)) if !error.is_not_found() => return Err(error.into()),
                Ok(_) => {}
                Err(_) => {
                    return Err(Error::failed(format!("container {} did not end within {} s of SIGKILL", container.name, AFTER_KILL.as_secs()))
                        .hint(format!("its process is held by the kernel or its shim hangs: `wharfie rm -f {}` removes what can be removed", container.name)));
                }
            }
        }
    }
    Ok(())
}

/// Let a frozen container take its signal. With SIGKILL the runtime has done so itself, which the shim learns
/// only when the process has ended; and others may have.
async fn thaw(engine: &Engine, id: &str) -> Result<()> {
    let Err(error) = engine.containerd.resume(id).await else { return Ok(()) };
    let mut tries = ANSWER.as_millis() / EVERY.as_millis();
    while tries > 0 {
        match engine.containerd.task(id, Some(ANSWER)).await {
            Ok(task) if matches!(task.status, TaskStatus::Paused | TaskStatus::Pausing) => {
                tokio::time::sleep(EVERY).await;
            }
            Err(gone) if !gone.is_not_found() => break,
            _ => return Ok(()),
        }
        tries -= 1;
    }
    Err(error.into())
}

async fn send(engine: &Engine, container: &Container, signal: u32) -> Result<()> {
    match engine.containerd.kill(&container.id, "", signal, false).await {
        Ok(()) => {
            note_signal(engine, container, signal);
            Ok(())
        }
        Err(error) if !error.is_not_found() => Err(error.into()),
        Err(_) => Ok(()),
    }
}

fn note_signal(engine: &Engine, container: &Container, signal: u32) {
    engine.note(&[event::of_container(container, "kill").with("signal", signal.to_string())]);
}

fn stop_signal(container: &Container, asked: Option<&str>) -> Result<u32> {
    let record = container.record.as_ref();
    let own = record.and_then(|record| record.request.stop_signal.as_deref());
    let image = record
        .and_then(|record| record.image_config.pointer("/config/StopSignal"))
        .and_then(|signal| signal.as_str());
    let label = || container.raw.labels.get("org.opencontainers.image.stopSignal").map(String::as_str);
    signal_number(
        asked.or(own).or(image).or_else(label).filter(|signal| !signal.is_empty()).unwrap_or("SIGTERM"),
    )
}

/// `9`, `KILL`, `SIGKILL`, `SIGRTMIN+3` as a number.
pub fn signal_number(text: &str) -> Result<u32> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    const REAL_TIME: std::ops::RangeInclusive<u32> = 34..=64;
    let invalid = || {
        Error::failed(format!("invalid signal: {text}")).hint("a number from 1 to 64, or a name such as TERM")
    };
    if let Ok(number) = text.parse::<u32>() {
        return if (1..=64).contains(&number) { Ok(number) } else { Err(invalid()) };
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return Ok(index as u32 + 1);
    }
    let real_time = match name {
        "IOT" => Some(6),
        "CLD" => Some(17),
        "POLL" => Some(29),
        "RTMIN" => Some(34),
        "RTMAX" => Some(64),
        _ => match name.strip_prefix("RTMIN+") {
            Some(offset) => offset.parse::<u32>().ok().map(|offset| 34 + offset),
            None => name.strip_prefix("RTMAX-").and_then(|offset| 64_u32.checked_sub(offset.parse().ok()?)),
        },
    };
    real_time.filter(|number| REAL_TIME.contains(number) || matches!(number, 6 | 17 | 29)).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        let cases = [
            ("9", 9),
            ("KILL", 9),
            ("sigkill", 9),
            ("SIGTERM", 15),
            ("WINCH", 28),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("64", 64),
        ];
        for (text, number) in cases {
            assert_eq!(signal_number(text).ok(), Some(number), "{text}");
        }
        for text in ["0", "65", "NOPE", "", "SIGRTMIN+99", "-1"] {
            assert!(signal_number(text).is_err(), "{text}");
        }
    }
}
