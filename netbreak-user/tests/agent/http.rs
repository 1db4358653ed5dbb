//! Just enough of an HTTP client, in any namespace.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use netbreak_user::netns::Namespace;

use crate::common::PATIENCE;

/// An answer whose head has come.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Lines of its head, in lower case.
    head: Vec<String>,
    rest: BufReader<TcpStream>,
}

impl Answer {
    /// Asks, and returns with the head of the answer.
    pub fn of(netns: &Namespace, at: SocketAddr, method: &str, path: &str) -> Answer {
        let mut stream = netns.run(|| TcpStream::connect(at)).unwrap().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n").unwrap();
        let mut rest = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            rest.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_lowercase()),
            }
        }
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, rest }
    }

    /// The value of a line of the head.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body, when all of it has come.
    pub fn body(mut self) -> String {
        let mut text = String::new();
        if self.header("transfer-encoding") != Some("chunked") {
            self.rest.read_to_string(&mut text).unwrap();
            return text;
        }
        loop {
            let mut line = String::new();
            self.rest.read_line(&mut line).unwrap();
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            self.rest.read_exact(&mut chunk).unwrap();
            match length {
                0 => return text,
                _ => text.push_str(std::str::from_utf8(&chunk[..length]).unwrap()),
            }
        }
    }
}
