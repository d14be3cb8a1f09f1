//! Whether the process was started with its standard output closed (`trueup status >&-`).
//!
//! The standard library opens `/dev/null` in place of a closed stream before `main` begins. From then on lost output
//! cannot be told from output that nobody wants: how it opens the file is how Python and Node.js open it for those who
//! ask for nothing. So the descriptor is looked at before the standard library does, where the loader runs constructors.

use std::sync::atomic::{AtomicBool, Ordering};

static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether there was no standard output when the process began.
pub fn stdout_was_closed() -> bool {
    STDOUT_WAS_CLOSED.load(Ordering::Relaxed)
}

/// Run by the loader, before the standard library is ready: a system call and an atomic are all that it may use.
extern "C" fn look() {
    let is_closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err();
    STDOUT_WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "the only way to run before the standard library")]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[used]
static BEFORE_MAIN: extern "C" fn() = look;
