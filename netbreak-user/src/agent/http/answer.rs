//! Answers to requests.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::{Either, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming},
    header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use tokio::sync::oneshot;

use super::{
    Asked,
    route::{Refusal, Route, route},
};
use crate::{
    agent::{Message, following::Ask},
    cli::Format,
    clock::{self, Nanos, SECOND},
    report::{html, json, markdown, prometheus, text},
    run_id,
};

/// At once, or when it is known.
pub(super) type Answer = Response<Either<Full<Bytes>, Later>>;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text";

/// How wide a report is as text.
const WIDTH: usize = 100;

/// Answers one request.
pub(super) async fn answer(request: Request<Incoming>, asked: &Asked) -> Answer {
    let uri = request.uri();
    let answer = match route(request.method(), uri.path(), uri.query()) {
        Ok(Route::Metrics) => metrics(&request, asked),
        Ok(Route::Health) => health(asked),
        Ok(Route::Reports) => asked.shared.lock().kept.list().map(|list| whole(JSON, list)).map_err(failed),
        Ok(Route::Report(id, format)) => report(asked, id, format),
        Ok(Route::Sightings(run_id, duration)) => sightings(asked, run_id, duration).await,
        Err(refusal) => Err(refusal),
    };
    answer.unwrap_or_else(|Refusal(status, why)| {
        let mut answer = whole(PLAIN, why + "\n");
        *answer.status_mut() = status;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            answer.headers_mut().insert(RETRY_AFTER, asked.free_in_s().into());
        }
        answer
    })
}

fn whole(kind: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(text.into())));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
}

/// In the format that the reader asks for; who asks for none gets the older one.
fn metrics(request: &Request<Incoming>, asked: &Asked) -> Result<Answer, Refusal> {
    let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_open =
        accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(OPEN_METRICS));
    let text = asked.shared.lock().metrics.render().map_err(failed)?;
    Ok(match is_open {
        true => whole("application/openmetrics-text; version=1.0.0; charset=utf-8", text),
        false => whole("text/plain; version=0.0.4; charset=utf-8", prometheus::classic(&text)),
    })
}

fn health(asked: &Asked) -> Result<Answer, Refusal> {
    match asked.shared.lock().health.trouble(clock::now()) {
        None => Ok(whole(PLAIN, "ok\n")),
        Some(why) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, why)),
    }
}

fn report(asked: &Asked, id: u64, format: Format) -> Result<Answer, Refusal> {
    let kept = asked.shared.lock().kept.get(id);
    let report = kept.ok_or_else(|| {
        let why = format!("no report {} is kept: /reports lists those that are", run_id::name(id));
        Refusal(StatusCode::NOT_FOUND, why)
    })?;
    Ok(match format {
        Format::Html => whole("text/html; charset=utf-8", html::render(&report)),
        Format::Markdown => whole("text/markdown; charset=utf-8", markdown::render(&report)),
        Format::Text => whole(PLAIN, text::render(&report, text::Options { color: false, width: WIDTH })),
        _ => whole(JSON, json::render(&report).map_err(failed)?),
    })
}

/// The head of the answer leaves when the packets of the run are followed.
async fn sightings(asked: &Asked, run_id: u64, duration: Nanos) -> Result<Answer, Refusal> {
    let permit = asked.one_at_a_time(duration).ok_or_else(|| {
        let why = "the packets of another run are followed: try again when that is over, see Retry-After";
        Refusal(StatusCode::TOO_MANY_REQUESTS, why.to_owned())
    })?;
    let over = || {
        Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "the agent ends, or has no room for a thread that follows".to_owned(),
        )
    };
    let (following, is_following) = oneshot::channel();
    let (seen, told) = oneshot::channel();
    let (waits, gone) = oneshot::channel();
    let duration = Duration::from_nanos(duration);
    let ask = Ask { run_id, duration, following, seen, gone, permit };
    asked.tell.send(Message::Follow(Box::new(ask))).map_err(|_| over())?;
    match is_following.await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, why)),
        Err(_) => return Err(over()),
    }
    let mut answer = Response::new(Either::Right(Later { told: Some(told), _waits: waits }));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok(answer)
}

/// A body that is told later; that it is dropped ends what makes it.
pub(super) struct Later {
    told: Option<oneshot::Receiver<String>>,
    _waits: oneshot::Sender<()>,
}

impl Body for Later {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let Some(told) = &mut self.told else { return Poll::Ready(None) };
        let text = std::task::ready!(Pin::new(told).poll(context));
        self.told = None;
        Poll::Ready(Some(match text {
            Ok(text) => Ok(Frame::data(text.into())),
            Err(_) => Err(std::io::Error::other("it could not be followed to its end")),
        }))
    }
}

/// Whole seconds until `at`, at least one.
pub(super) fn seconds_until(at: Nanos, now: Nanos) -> u64 {
    at.saturating_sub(now).div_ceil(SECOND).max(1)
}
