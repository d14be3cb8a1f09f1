//! A controller whose surroundings do not answer: it stays, says why, and ends when it is asked to.

use std::net::TcpListener;
use std::process::Command;

use crate::health::{get, serving, serving_from};
use crate::restart::{Controller, until};
use crate::rig::Rig;

/// Accepts connections, and never says a word.
fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

pub fn ends_well(mut controller: Controller) {
    let process = controller.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let ended = std::cell::Cell::new(None);
    let wait = std::cell::RefCell::new(&mut controller);
    until("its end", || {
        ended.set(wait.borrow_mut().0.try_wait().unwrap());
        ended.get().is_some()
    });
    assert_eq!(ended.get().unwrap().code(), Some(0));
}

#[test]
fn a_stop_is_heeded_while_aws_does_not_answer() {
    let rig = Rig::new();
    let (listener, address) = mute();
    let (controller, served) = serving(&rig, &[("AWS_ENDPOINT_URL", &address)]);
    let asked = listener.accept().unwrap();
    assert_eq!(get(&format!("{served}/readyz")), (503, "the first look goes on\n".to_owned()));
    ends_well(controller);
    drop(asked);
}

#[test]
fn a_stop_is_heeded_while_the_repository_does_not_answer() {
    let rig = Rig::new();
    let (listener, address) = mute();
    let (controller, _) = serving_from(&rig, &address, &[]);
    let asked = listener.accept().unwrap();
    ends_well(controller);
    drop(asked);
}

#[test]
fn a_repository_that_is_out_of_reach_is_asked_again_and_named() {
    let rig = Rig::new();
    let (listener, address) = mute();
    drop(listener);
    let (controller, served) = serving_from(&rig, &address, &[]);
    until("the reason", || get(&format!("{served}/readyz")).1.contains("cannot fetch"));
    assert_eq!(get(&format!("{served}/livez")).0, 200);
    ends_well(controller);
}
