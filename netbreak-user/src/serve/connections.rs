//! The TCP ends: tcp and stream read to the end and discard, http answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::probe::Kind;

/// Connections that one port serves at the same time; more wait in the kernel's accept queue.
const MAX_CONNECTIONS: usize = 16_384;

/// After an accept that failed for want of files or memory: without a pause it would fail again at once.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves every connection until it is dropped.
pub(super) async fn accept(listener: TcpListener, kind: Kind) {
    accept_each(listener, MAX_CONNECTIONS, &mut JoinSet::new(), |stream| serve(stream, kind)).await;
}

/// Accepts for ever, at most so many at the same time, and serves each connection in a task among `open`.
pub(crate) async fn accept_each<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    most: usize,
    open: &mut JoinSet<()>,
    serve: impl Fn(TcpStream) -> F,
) {
    let room = Arc::new(Semaphore::new(most));
    loop {
        // Never closed, so there is always a permit to come.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = serve(stream);
                open.spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        while open.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, kind: Kind) {
    // An error ends this connection and nothing else.
    if kind == Kind::Http {
        let answer = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"netbreak\n"))))
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    } else {
        let mut buffer = vec![0; 16_384];
        while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
    }
}
