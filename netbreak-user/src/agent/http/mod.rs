//! Metrics, reports and sightings by HTTP, from a thread without privileges.

mod answer;
mod route;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::thread::CapabilitySet;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use super::{Message, Shared};
use crate::{
    clock::{self, Nanos},
    probe::Kind,
    run::privileges,
    serve::{ServeError, accept_each, listen},
};

/// Connections at the same time; more wait in the kernel's accept queue.
const MOST_CONNECTIONS: usize = 64;

/// A request has that long to come.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// A connection has that long: as long as sightings may take, and some time to read what they are.
const CONNECTION_WITHIN: Duration = Duration::from_secs(660);

/// Connections that are open at the end have that long to read their answers.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The thread that listens.
pub(super) struct Server {
    /// Where.
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// What every answer is made of.
struct Asked {
    shared: Arc<Shared>,
    tell: mpsc::Sender<Message>,
    /// One run is followed at a time.
    following: Arc<Semaphore>,
    /// Until when.
    until: AtomicU64,
}

impl Asked {
    /// May a run be followed for so long now?
    fn one_at_a_time(&self, duration: Nanos) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.following).try_acquire_owned().ok()?;
        self.until.store(clock::now().saturating_add(duration), Ordering::Relaxed);
        Some(permit)
    }

    /// How many seconds whoever may not should wait.
    fn free_in_s(&self) -> u64 {
        answer::seconds_until(self.until.load(Ordering::Relaxed), clock::now())
    }
}

impl Server {
    /// Listens, and handles signals from now on: each is a message.
    ///
    /// # Errors
    /// The port that cannot be had, with what to do.
    pub(super) fn start(at: SocketAddr, shared: Arc<Shared>, tell: mpsc::Sender<Message>) -> Result<Server> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (listener, mut interrupt, mut terminate) = {
            let _within = runtime.enter();
            let refused = |source| ServeError::Bind { kind: Kind::Http, address: at, source };
            let listener = listen(at).map_err(refused).context("--listen")?;
            let interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
            (listener, interrupt, signal(SignalKind::terminate()).context("cannot handle SIGTERM")?)
        };
        let address = listener.local_addr().context("cannot tell where it listens")?;
        let (stop, stopped) = watch::channel(false);
        let told = tell.clone();
        runtime.spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                // Nobody listens any more at the very end.
                let _ = told.send(Message::End);
            }
        });
        let (following, until) = (Arc::new(Semaphore::new(1)), AtomicU64::new(0));
        let asked = Arc::new(Asked { shared, tell, following, until });
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || work(&runtime, listener, asked, stopped))
            .context("cannot start the thread that listens")?;
        Ok(Server { address, stop, thread })
    }

    /// Takes no more connections, and waits a little for those that are open.
    pub(super) fn stop(self) {
        // The thread is gone only if it panicked, which it has said.
        let _ = self.stop.send(true);
        let _ = self.thread.join();
    }
}

fn work(runtime: &Runtime, listener: TcpListener, asked: Arc<Asked>, mut stopped: watch::Receiver<bool>) {
    privileges::keep_only(CapabilitySet::empty());
    runtime.block_on(async {
        let mut open = JoinSet::new();
        tokio::select! {
            () = accept_each(listener, MOST_CONNECTIONS, &mut open, |stream| within_time(stream, Arc::clone(&asked))) => {}
            _ = stopped.wait_for(|is_over| *is_over) => {}
        }
        let answered = async { while open.join_next().await.is_some() {} };
        // Who reads too slowly is cut off.
        let _ = tokio::time::timeout(LAST_ANSWERS_WITHIN, answered).await;
    });
}

async fn within_time(stream: TcpStream, asked: Arc<Asked>) {
    // Who takes longer is cut off.
    let _ = tokio::time::timeout(CONNECTION_WITHIN, serve(stream, &asked)).await;
}

/// One request. Its errors end the connection and nothing else.
async fn serve(stream: TcpStream, asked: &Asked) {
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(answer::answer(request, asked).await) });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
