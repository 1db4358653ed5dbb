//! Where an HTTP/1.1 response ends. Pure: bytes come in as they were received.

use std::mem;

/// Of a longer body the rest is not waited for.
const MAX_BODY: u64 = 64 << 10;

/// Longest head that is read; more header lines than these are no HTTP either.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 100;

/// What is known after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to come.
    More,
    /// The response is there; its status.
    Done(u16),
    /// It is no HTTP.
    Garbage,
}

/// A response on its way.
#[derive(Debug, Default)]
pub(super) struct Response {
    /// The head as far as it came, if it did not come in one piece.
    head: Vec<u8>,
    body: Option<(u16, Body)>,
    /// Bytes of the body so far.
    length: u64,
}

/// How the end of the body is found (RFC 9112, 6.3).
#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked(Chunks),
    UntilEnd,
}

impl Response {
    /// Takes what was received next.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Progress {
        if self.body.is_some() {
            return self.take_body(bytes);
        }
        if self.head.is_empty() {
            return self.take_head(bytes);
        }
        self.head.extend_from_slice(bytes);
        let head = mem::take(&mut self.head);
        self.take_head(&head)
    }

    /// The other end will send no more.
    pub(super) fn end(&self) -> Progress {
        match self.body {
            Some((status, Body::UntilEnd)) => Progress::Done(status),
            _ => Progress::More,
        }
    }

    fn take_head(&mut self, mut bytes: &[u8]) -> Progress {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            let (length, status) = match (head.parse(bytes), head.code) {
                (Ok(httparse::Status::Complete(length)), Some(status)) => (length, status),
                (Ok(_), _) if bytes.len() <= MAX_HEAD => {
                    self.head = bytes.to_vec();
                    return Progress::More;
                }
                _ => return Progress::Garbage,
            };
            bytes = &bytes[length..];
            // An interim response is not the answer yet.
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let Some(body) = Body::of(status, head.headers) else { return Progress::Garbage };
            self.body = Some((status, body));
            return self.take_body(bytes);
        }
    }

    fn take_body(&mut self, bytes: &[u8]) -> Progress {
        let Some((status, body)) = &mut self.body else { return Progress::More };
        self.length += bytes.len() as u64;
        let is_over = match body {
            Body::Length(length) => self.length >= *length,
            Body::Chunked(chunks) => match chunks.take(bytes) {
                Some(is_over) => is_over,
                None => return Progress::Garbage,
            },
            Body::UntilEnd => false,
        };
        if is_over || self.length > MAX_BODY { Progress::Done(*status) } else { Progress::More }
    }
}

impl Body {
    /// `None` if the headers contradict themselves.
    fn of(status: u16, headers: &[httparse::Header]) -> Option<Body> {
        let values = |name: &'static str| {
            headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|h| h.value)
        };
        if matches!(status, 101 | 204 | 304) {
            return Some(Body::Length(0));
        }
        if let Some(coding) = values("transfer-encoding").next_back() {
            let is_chunked = coding.trim_ascii_end().to_ascii_lowercase().ends_with(b"chunked");
            return Some(if is_chunked { Body::Chunked(Chunks::default()) } else { Body::UntilEnd });
        }
        let mut lengths = values("content-length");
        let Some(first) = lengths.next() else { return Some(Body::UntilEnd) };
        if lengths.any(|other| other != first) || !first.iter().all(u8::is_ascii_digit) {
            return None;
        }
        str::from_utf8(first).ok()?.parse().ok().map(Body::Length)
    }
}

/// Where in a chunked body the next byte stands (RFC 9112, 7.1).
#[derive(Debug)]
enum Chunks {
    /// In the digits of a size, with what they come to so far.
    Size(u64),
    /// Behind them, to the end of the line.
    Extension(u64),
    /// In the data, and the line break after it: bytes left.
    Data(u64),
    /// In the lines after the last chunk: is this one empty so far?
    Trailer(bool),
}

impl Default for Chunks {
    fn default() -> Self {
        Chunks::Size(0)
    }
}

impl Chunks {
    /// Is the body over with these bytes? `None` if they are no chunks.
    fn take(&mut self, mut bytes: &[u8]) -> Option<bool> {
        while let Some((byte, rest)) = bytes.split_first() {
            let mut next = rest;
            *self = match (&*self, byte) {
                (Chunks::Data(left), _) => {
                    let now = (*left).min(bytes.len() as u64);
                    next = &bytes[now as usize..];
                    if *left == now { Chunks::Size(0) } else { Chunks::Data(left - now) }
                }
                (Chunks::Trailer(true), b'\n') => return Some(true),
                (Chunks::Trailer(_), b'\n') => Chunks::Trailer(true),
                (Chunks::Trailer(empty), byte) => Chunks::Trailer(*empty && *byte == b'\r'),
                (Chunks::Size(0) | Chunks::Extension(0), b'\n') => Chunks::Trailer(true),
                (Chunks::Size(size) | Chunks::Extension(size), b'\n') => Chunks::Data(size.checked_add(2)?),
                (Chunks::Size(size), byte) => match char::from(*byte).to_digit(16) {
                    Some(digit) => Chunks::Size(size.checked_mul(16)?.checked_add(digit.into())?),
                    None if matches!(byte, b'\r' | b';' | b' ' | b'\t') => Chunks::Extension(*size),
                    None => return None,
                },
                (Chunks::Extension(size), _) => Chunks::Extension(*size),
            };
            bytes = next;
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole response at once, and byte by byte: what was known after the last byte, and at the end.
    fn read(response: &str) -> (Progress, Progress) {
        let mut whole = Response::default();
        let at_once = (whole.take(response.as_bytes()), whole.end());
        let mut pieces = Response::default();
        let mut last = Progress::More;
        for (index, byte) in response.bytes().enumerate() {
            assert_eq!(last, Progress::More, "{response:?} was over before byte {index}");
            last = pieces.take(&[byte]);
        }
        assert_eq!((last, pieces.end()), at_once, "{response:?}");
        at_once
    }

    #[test]
    fn the_end_is_found_by_length_chunks_or_the_end_of_the_connection() {
        for (response, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Progress::Done(200)),
            ("HTTP/1.0 503 No\r\ncontent-length: 0\r\n\r\n", Progress::Done(503)),
            ("HTTP/1.1 204 No Content\r\n\r\n", Progress::Done(204)),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
                Progress::Done(404),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f;x=y\r\n0123456789012345678901234567890\r\n0\r\n\r\n",
                Progress::Done(200),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n",
                Progress::Done(200),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", Progress::More),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", Progress::More),
            ("HTTP/1.1 200", Progress::More),
            ("", Progress::More),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", Progress::Garbage),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Progress::Garbage),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", Progress::Garbage),
        ] {
            let (last, end) = read(response);
            assert_eq!(last, expected, "{response:?}");
            if last == Progress::More {
                assert_eq!(end, Progress::More, "{response:?}: an early end is none");
            }
        }
        assert_eq!(read("HTTP/1.0 200 OK\r\n\r\nso far").1, Progress::Done(200));
        assert_eq!(Response::default().take(b"SSH-2.0-OpenSSH_9.2\r\n"), Progress::Garbage);
    }

    #[test]
    fn of_a_long_body_or_head_the_rest_is_not_waited_for() {
        let mut response = Response::default();
        assert_eq!(response.take(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), Progress::More);
        assert_eq!(response.take(&[0; MAX_BODY as usize]), Progress::More);
        assert_eq!(response.take(&[0]), Progress::Done(200));
        let mut endless = Response::default();
        assert_eq!(endless.take(b"HTTP/1.1 200 OK\r\nx: "), Progress::More);
        assert_eq!(endless.take(&[b'a'; MAX_HEAD]), Progress::Garbage);
    }

    #[test]
    fn a_chunk_size_that_no_number_holds_is_garbage() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.take(b"fffffffffffffffff"), None);
        assert_eq!(Chunks::Size(u64::MAX).take(b"\n"), None);
    }
}
