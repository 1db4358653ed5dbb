//! The thread whose children the daemons are.
//!
//! A daemon asks for SIGKILL at its parent's death (PR_SET_PDEATHSIG), so that none outlives us. The kernel takes the
//! *thread* that forked for the parent (`forget_original_parent` in kernel/exit.c), and a lab is built on one thread and
//! broken by another: so one thread starts them all, and lives as long as the lab.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

type Order = (Command, mpsc::SyncSender<io::Result<Child>>);

/// The thread. Dropping it ends it, and with it every daemon that still runs.
pub(super) struct Parent {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Parent {
    pub(super) fn new() -> Result<Parent> {
        let (orders, receiver) = mpsc::channel::<Order>();
        let work = move || {
            for (mut command, reply) in receiver {
                // Whoever ordered it waits for the answer.
                let _ = reply.send(spawn(&mut command));
            }
        };
        let thread = thread::Builder::new().name("daemons".to_owned()).spawn(work);
        let thread = thread.context("cannot start the thread of the lab's daemons")?;
        Ok(Parent { orders: Some(orders), thread: Some(thread) })
    }

    /// Starts `command` as a child of the thread.
    pub(super) fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread of the lab's daemons is gone");
        let (reply, answer) = mpsc::sync_channel(1);
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send((command, reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It ends because of that, and has nothing to tell.
        self.thread.take().map(JoinHandle::join);
    }
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    let us = getpid();
    // Ctrl-C is for us: a daemon that ended by it would be one more break.
    command.process_group(0);
    // SAFETY: the closure runs between fork and exec and only makes system calls.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // We may have died before that call.
            if getppid() == Some(us) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
        })
    };
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_daemon_outlives_the_thread_that_orders_it_and_not_its_parent() {
        let parent = Parent::new().unwrap();
        let mut command = Command::new("sleep");
        command.arg("1000");
        let child = thread::scope(|scope| scope.spawn(|| parent.spawn(command)).join().unwrap());
        let mut child = child.unwrap();
        assert!(child.try_wait().unwrap().is_none());
        drop(parent);
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    }

    #[test]
    fn what_cannot_be_started_says_so() {
        let parent = Parent::new().unwrap();
        let error = parent.spawn(Command::new("/no/such/program")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
