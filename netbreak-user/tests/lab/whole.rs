//! A lab is there quickly, whole and apart from others, and says what went wrong in it.

use std::collections::HashSet;
use std::time::Instant;

use netbreak_user::lab::{Family, Lab, Role, find};
use netbreak_user::netns;

use crate::PATIENCE;
use crate::burst::{SURELY, ping, tcp, udp};
use crate::skip::skipped;
use crate::wait::wait_until;

#[test]
fn a_new_lab_is_whole_and_apart() {
    if skipped(&["ip", "ping"]) {
        return;
    }
    let start = Instant::now();
    let lab = Lab::new().unwrap();
    println!("a lab takes {:?}", start.elapsed());
    assert_eq!(
        (
            ping(&lab, Family::V4, &[], SURELY),
            udp(&lab, Family::V4, None, 10, SURELY),
            tcp(&lab, Family::V4, None, SURELY),
        ),
        (0, 0, 0)
    );

    let inodes: HashSet<u32> = lab.names().into_iter().map(|(inode, _)| inode).collect();
    assert_eq!(inodes.len(), 3);
    assert!(!inodes.contains(&netns::current().unwrap()));
    let router = lab.namespace(Role::Router);
    let names: Vec<String> = router.devices().unwrap().into_iter().map(|(_, name)| name).collect();
    assert!(names.contains(&"r0".to_owned()) && names.contains(&"r1".to_owned()), "{names:?}");

    // Another program finds it by its path, by its process, and in the list, under its name.
    let resolve = |spec: &str| netns::Namespace::resolve(spec).unwrap().inode();
    assert_eq!(resolve(router.path().to_str().unwrap()), router.inode());
    assert_eq!(resolve(&format!("pid:{}", router.pid())), router.inode());
    let name = format!("pid {} (router)", router.pid());
    wait_until(PATIENCE, "the holder has its name", || {
        netns::list().iter().any(|n| n.inode == router.inode() && n.name == name)
    });
    drop(lab);
    wait_until(PATIENCE, "the namespaces are gone", || {
        !netns::list().iter().any(|n| inodes.contains(&n.inode))
    });
}

#[test]
fn a_command_that_fails_says_what_it_said() {
    if skipped(&["ip", "nft", "ping"]) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    let said = format!("{:#}", lab.ip(Role::Router, "link set nothing up").unwrap_err());
    assert!(said.contains("`ip link set nothing up` in the router failed"), "{said}");
    assert!(said.contains("Cannot find device"), "{said}");
    let said = format!("{:#}", lab.exec(Role::Client, &["no-such-program"]).unwrap_err());
    assert!(said.contains("cannot start `no-such-program` in the client"), "{said}");
    // A fault twice: the second try fails, says its name, and what it did is undone.
    let fault = find("route-missing").unwrap();
    lab.apply(fault).unwrap();
    let said = format!("{:#}", lab.apply(fault).unwrap_err());
    assert!(said.contains("`route-missing`"), "{said}");
    assert_eq!(ping(&lab, Family::V4, &[], SURELY), 0);
    assert!(lab.undo(find("nft-forward").unwrap()).is_err());
}
