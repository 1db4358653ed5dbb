//! One HTTP/1.1 GET on a connection of its own.

use std::net::TcpStream as StdStream;
use std::pin::pin;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::clock;

use super::attempt::Outcome;
use super::connect::{Connected, abort_on_close, errno_of};
use super::spec::Spec;
use super::visits::Visit;

/// Of a longer body the rest is not waited for.
const MAX_BODY: usize = 64 << 10;

/// Sends the request and reads head and body of the response. Answered is also what is no HTTP (the path works; it counts
/// as an HTTP error); a connection that ends before the response does is a reset.
pub(super) async fn fetch(spec: &Spec, connected: Connected) -> Visit {
    let Connected { socket, flow } = connected;
    let socket = socket.into_inner();
    // The server closes first (`Connection: close`), so TIME_WAIT is on its side and an ordinary close costs no port.
    let stream = abort_on_close(&socket, false)
        .and_then(|()| socket.set_tcp_nodelay(true))
        .and_then(|()| TcpStream::from_std(StdStream::from(socket)));
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => {
            let outcome = Outcome::SendFailed { errno: errno_of(&error) };
            return Visit { outcome, http_error: false };
        }
    };
    let result = exchange(spec, stream).await;
    let at = clock::now();
    drop(flow);
    match result {
        Ok(status) => Visit { outcome: Outcome::Answered { at }, http_error: status >= 500 },
        Err(error) if error.is_parse() => Visit { outcome: Outcome::Answered { at }, http_error: true },
        Err(_) => Visit { outcome: Outcome::Reset { at }, http_error: false },
    }
}

async fn exchange(spec: &Spec, stream: TcpStream) -> hyper::Result<u16> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    // A path or host that is no URI never gets here: the command line is checked before.
    *request.uri_mut() = spec.http_path.parse().unwrap_or_default();
    if let Ok(host) = spec.http_host.parse() {
        request.headers_mut().insert(HOST, host);
    }
    request.headers_mut().insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    request.headers_mut().insert(USER_AGENT, hyper::header::HeaderValue::from_static("netbreak"));
    let mut connection = pin!(connection);
    let mut response = pin!(async move { read(sender.send_request(request).await?).await });
    tokio::select! {
        biased;
        status = &mut response => return status,
        // The connection ends before the last bytes of the body have been taken from it.
        _ = &mut connection => (),
    }
    response.await
}

async fn read(response: Response<Incoming>) -> hyper::Result<u16> {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut length = 0;
    while length <= MAX_BODY
        && let Some(frame) = body.frame().await
    {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(status)
}
