//! TLS on the client's side, over a socket that does not block.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use socket2::Socket;

/// Why there can be no TLS, found before the run.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nobody to trust.
    #[error(
        "no root certificates found ({why}): install the system's (Debian: ca-certificates), name a file with \
         SSL_CERT_FILE, or give --insecure"
    )]
    NoRoots {
        /// What the search met.
        why: String,
    },
    /// Such as a name that no certificate can hold.
    #[error("{name} is no name that a certificate can hold: {why}")]
    Name {
        /// As typed.
        name: String,
        /// The rule.
        why: String,
    },
    /// The library refuses its own settings.
    #[error("TLS cannot be set up: {0}")]
    Settings(Error),
}

/// Whom to connect to, and whom to believe.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// For a server called `name`, as typed. `verify` = its certificate must lead to one of the system's roots, which are
    /// read now.
    pub(super) fn new(name: &str, verify: bool) -> Result<Tls, TlsError> {
        Tls::with(name, if verify { Some(system_roots()?) } else { None })
    }

    /// `None` = whoever answers is believed.
    fn with(name: &str, roots: Option<RootCertStore>) -> Result<Tls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Settings)?;
        let mut config = match roots {
            Some(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
                .with_no_client_auth(),
        };
        // Each visit is a first one: a session that is taken up again would not show what a handshake takes.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let parsed = match bare.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(bare.trim_end_matches('.').to_owned())
                .map_err(|error| TlsError::Name { name: name.to_owned(), why: error.to_string() })?,
        };
        Ok(Tls { config: Arc::new(config), name: parsed })
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some stores hold certificates of old forms: the others count.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(|| "none installed".to_owned(), ToString::to_string);
        return Err(TlsError::NoRoots { why });
    }
    Ok(roots)
}

/// What a session can say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// So many bytes were received, at least one.
    Bytes(usize),
    /// Nothing yet.
    Wait,
    /// The other end sends no more.
    End,
    /// The connection broke.
    Broken,
    /// The other end answered, and not as TLS wants it.
    Refused(String),
}

/// One connection's session.
#[derive(Debug)]
pub(super) struct Session(Box<ClientConnection>);

impl Session {
    /// Nothing is sent yet.
    pub(super) fn new(tls: &Tls) -> Result<Session, String> {
        let made = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
        made.map(|connection| Session(Box::new(connection))).map_err(|error| error.to_string())
    }

    /// Goes on with the handshake. `None` = it is over, and well.
    pub(super) fn shake_hands(&mut self, socket: &Socket) -> Option<Said> {
        loop {
            if let Err(said) = self.flush(socket) {
                return Some(said);
            }
            if !self.0.is_handshaking() {
                return None;
            }
            match self.pull(socket) {
                Said::Bytes(_) => (),
                Said::End => return Some(Said::Broken),
                said => return Some(said),
            }
        }
    }

    /// Sends `bytes`; what the socket does not take goes with the next call.
    pub(super) fn send(&mut self, socket: &Socket, bytes: &[u8]) -> Result<(), Said> {
        // It buffers: only a session that has ended takes nothing, which the next read says.
        let _ = self.0.writer().write_all(bytes);
        self.flush(socket)
    }

    /// Receives into `buffer`.
    pub(super) fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> Said {
        if let Err(said) = self.flush(socket) {
            return said;
        }
        loop {
            match self.0.reader().read(buffer) {
                Ok(0) => return Said::End,
                Ok(length) => return Said::Bytes(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.pull(socket) {
                    Said::Bytes(_) => (),
                    said => return said,
                },
                // An end without a goodbye: HTTP's own framing tells whether it was early.
                Err(_) => return Said::End,
            }
        }
    }

    /// Takes what the socket has.
    fn pull(&mut self, socket: &Socket) -> Said {
        match self.0.read_tls(&mut &*socket) {
            Ok(0) => Said::End,
            Ok(length) => match self.0.process_new_packets() {
                Ok(_) => Said::Bytes(length),
                Err(error) => {
                    // Tells the other end why, if it still listens.
                    let _ = self.flush(socket);
                    Said::Refused(in_words(&error))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Said::Wait,
            Err(_) => Said::Broken,
        }
    }

    fn flush(&mut self, socket: &Socket) -> Result<(), Said> {
        while self.0.wants_write() {
            match self.0.write_tls(&mut &*socket) {
                Ok(_) => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Err(Said::Broken),
            }
        }
        Ok(())
    }
}

/// Why there is no session, where the library has only a name for it.
fn in_words(error: &Error) -> String {
    const INSECURE: &str = "--insecure takes any";
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("no root certificate of this system vouches for the server's (UnknownIssuer): {INSECURE}")
        }
        // `webpki::Error` is not ours to match.
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            format!(
                "the server's certificate is that of an authority, self-signed (CaUsedAsEndEntity): {INSECURE}"
            )
        }
        other => other.to_string(),
    }
}

/// Believes everybody.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    /// A client's handshake with a server that is called `web.example`: what it says, and `None` if all is well.
    fn shake_hands(tls: &Tls, config: &Arc<ServerConfig>) -> Option<Said> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Socket::from(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
        let server = std::thread::spawn(move || drop(server.complete_io(&mut stream)));
        let said = Session::new(tls).unwrap().shake_hands(&client);
        drop(client);
        server.join().unwrap();
        said
    }

    #[test]
    fn a_certificate_counts_for_its_roots_and_its_names() {
        let own = rcgen::generate_simple_self_signed(vec!["web.example".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.into());
        let config = Arc::new(config.unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let with = |name: &str, roots: Option<&RootCertStore>| {
            shake_hands(&Tls::with(name, roots.cloned()).unwrap(), &config)
        };
        let refused = |said: Option<Said>, words: &str| match said {
            Some(Said::Refused(why)) => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(with("web.example", Some(&roots)), None);
        assert_eq!(with("Web.Example.", Some(&roots)), None);
        refused(with("other.example", Some(&roots)), "not valid for");
        refused(with("[::1]", Some(&roots)), "not valid for");
        refused(with("web.example", Some(&RootCertStore::empty())), "UnknownIssuer");
        assert_eq!(with("other.example", None), None);
    }

    #[test]
    fn a_self_signed_certificate_is_told_in_words() {
        let name = rcgen::string::Ia5String::try_from("web.example").unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names.push(rcgen::SanType::DnsName(name));
        // As `openssl req -x509` makes it.
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
        let tls = Tls::with("web.example", Some(RootCertStore::empty())).unwrap();
        let Some(Said::Refused(why)) = shake_hands(&tls, &Arc::new(config.unwrap())) else { panic!() };
        assert!(
            why.contains("self-signed (CaUsedAsEndEntity): --insecure") && !why.contains("Other"),
            "{why}"
        );
    }

    #[test]
    fn the_systems_roots_are_found_or_said_to_be_missing() {
        match system_roots() {
            Ok(roots) => assert!(!roots.is_empty()),
            Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
        }
    }
}
