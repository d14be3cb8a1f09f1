//! What libgit2 may take of memory, whatever the objects of a repository claim to be.
//!
//! The size of an object is known before it is read, that of what a delta is made from is not: a small file may be
//! stored as a difference to one of a gigabyte, and libgit2 unpacks both in memory. So its large blocks come from an
//! allocator with an end. libgit2 is written for a failing `malloc`: the call fails, and nothing else.

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use git2::ObjectType;

/// Bytes of all large blocks together. Files are read up to 1 MiB, and hardly ever stored as a difference to more than
/// some MiB; the controller as a whole stays below 128 MiB.
pub const MOST_BYTES: usize = 32 << 20;
/// Smaller blocks are not counted: their number is bounded by the objects of a pack and the names of an advertisement.
const LARGE: usize = 256 << 10;
/// Objects of one pack: far more than a shallow infrastructure repository has. Each costs some 100 bytes while a pack is indexed.
pub const MOST_OBJECTS: usize = 200_000;
/// Bytes of a pack that are mapped at a time, and of all packs together.
const WINDOW: usize = 1 << 20;
const MAPPED: usize = 8 << 20;
/// Bytes of unpacked trees and commits that are kept.
const CACHE: libc::ssize_t = 4 << 20;

/// Bytes of the large blocks that are in use.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static BOUNDED: OnceLock<Result<(), String>> = OnceLock::new();

/// Bounds libgit2 for the whole process. Only the first call has an effect; it comes before a repository is opened.
pub fn bound() -> Result<(), String> {
    BOUNDED.get_or_init(|| bound_once().map_err(|error| error.message().to_owned())).clone()
}

/// `git_allocator` of `git2/sys/alloc.h`.
#[repr(C)]
struct Allocator {
    malloc: unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
    realloc: unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
}

static ALLOCATOR: Allocator = Allocator { malloc, realloc, free };

#[expect(unsafe_code, reason = "options of libgit2 are for the whole process, and some take a pointer")]
fn bound_once() -> Result<(), git2::Error> {
    let allocator: *const Allocator = &raw const ALLOCATOR;
    // SAFETY: libgit2 copies the three pointers. Blocks of either allocator may be freed by the other: both are those
    // of the C library. `OnceLock` lets one thread in once, before this crate's users open a repository.
    let set = unsafe {
        libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_SET_ALLOCATOR.cast_signed(), allocator)
            | libgit2_sys::git_libgit2_opts(
                libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECTS.cast_signed(),
                MOST_OBJECTS,
            )
            | libgit2_sys::git_libgit2_opts(
                libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE.cast_signed(),
                MOST_BYTES,
            )
    };
    if set != 0 {
        return Err(git2::Error::last_error(set));
    }
    // SAFETY: as above; these are numbers.
    unsafe {
        git2::opts::set_mwindow_size(WINDOW)?;
        git2::opts::set_mwindow_mapped_limit(MAPPED)?;
        git2::opts::set_cache_max_size(CACHE)?;
        git2::opts::set_cache_object_limit(ObjectType::Blob, 0)
    }
}

/// Whether a block of so many bytes may be had beside what is in use.
fn is_allowed(wanted: usize) -> bool {
    wanted < LARGE || IN_USE.load(Ordering::Relaxed).saturating_add(wanted) <= MOST_BYTES
}

fn count(taken: usize, given_back: usize) {
    let large = |bytes: usize| if bytes < LARGE { 0 } else { bytes };
    let (taken, given_back) = (large(taken), large(given_back));
    if taken != given_back {
        // Saturating: a block may be older than the count.
        let counted = |in_use: usize| Some((in_use + taken).saturating_sub(given_back));
        let _ = IN_USE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }
}

/// The bytes of a block.
#[expect(unsafe_code, reason = "asks the C library")]
unsafe fn size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    // SAFETY: the caller passes a living block of the C library.
    unsafe {
        #[cfg(target_vendor = "apple")]
        return libc::malloc_size(block);
        #[cfg(not(target_vendor = "apple"))]
        return libc::malloc_usable_size(block);
    }
}

#[expect(unsafe_code, reason = "libgit2's allocator")]
unsafe extern "C" fn malloc(bytes: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    if !is_allowed(bytes) {
        return std::ptr::null_mut();
    }
    // SAFETY: as `malloc` of the C library, whose rules libgit2 follows. It asks for no empty block, but if it did, an
    // empty one must not look like a failure.
    unsafe {
        let block = libc::malloc(bytes.max(1));
        count(size(block), 0);
        block
    }
}

#[expect(unsafe_code, reason = "libgit2's allocator")]
unsafe extern "C" fn realloc(
    block: *mut c_void,
    bytes: usize,
    _file: *const c_char,
    _line: c_int,
) -> *mut c_void {
    // SAFETY: as `realloc` of the C library, whose rules libgit2 follows.
    unsafe {
        let before = size(block);
        if bytes > before && !is_allowed(bytes) {
            return std::ptr::null_mut();
        }
        let moved = libc::realloc(block, bytes.max(1));
        if !moved.is_null() {
            count(size(moved), before);
        }
        moved
    }
}

#[expect(unsafe_code, reason = "libgit2's allocator")]
unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: as `free` of the C library, whose rules libgit2 follows.
    unsafe {
        count(0, size(block));
        libc::free(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_claims_more_memory_than_there_is_fails_alone() {
        bound().unwrap_or_default();
        let folder = std::env::temp_dir().join(format!("trueup-memory-{}", std::process::id()));
        let repository = git2::Repository::init_bare(&folder);
        let large = repository.as_ref().ok().and_then(|repository| {
            let id = repository.blob(&vec![0; MOST_BYTES + 1]).ok()?;
            Some(repository.find_blob(id).err()?.class())
        });
        let small = repository.as_ref().ok().and_then(|repository| {
            let id = repository.blob(&vec![0; 1 << 20]).ok()?;
            repository.find_blob(id).ok().map(|blob| blob.size())
        });
        let _ = std::fs::remove_dir_all(&folder);
        assert_eq!(large, Some(git2::ErrorClass::NoMemory));
        assert_eq!(small, Some(1 << 20), "what was taken is given back, or was never taken");
    }
}
