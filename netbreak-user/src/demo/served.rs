//! What answers the probes of a demo.

use std::{sync::mpsc, thread};

use anyhow::{Result, bail};

use crate::{lab::LabNamespace, netns::Namespace, serve};

/// `netbreak serve` in a namespace of the lab, until dropped.
pub(super) struct Server {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Server {
    /// Returns when every port of `config` is open.
    pub(super) fn start(namespace: &LabNamespace, config: serve::Config) -> Result<Self> {
        let namespace = Namespace::open(namespace.path())?;
        let (ready, is_ready) = mpsc::sync_channel(1);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let work = move || -> Result<()> {
            namespace.enter()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    served = serve::serve(config, move |_| ready.send(()).unwrap_or(())) => served?,
                    _ = stopped => {}
                }
                Ok(())
            })
        };
        let thread = thread::Builder::new().name("serve".to_owned()).spawn(work)?;
        let mut server = Self { stop: Some(stop), thread: Some(thread) };
        if is_ready.recv().is_err() {
            let ended = server.thread.take().map(thread::JoinHandle::join);
            match ended {
                Some(Ok(Err(error))) => return Err(error.context("cannot start `serve` in the lab")),
                _ => bail!("`serve` ended unexpectedly in the lab"),
            }
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It ends because of that; whether it panicked before does not matter any more.
        self.thread.take().map(thread::JoinHandle::join);
    }
}
