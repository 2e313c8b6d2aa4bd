//! Containment of panics.
//!
//! A controller serves namespaces that do not trust each other, so a panic over one object must not end the process for all. Code
//! that may panic because of a tenant's input runs inside [`caught`] or [`catch`]. A panic there is not printed: the caller logs
//! it with its location. The message of a panic is dropped, because it may quote input, such as a password.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    pin::pin,
    sync::Once,
    task::Poll,
};

// Panics that abort cannot be caught.
const _: () = assert!(cfg!(panic = "unwind"), "controllers must be built with panic = \"unwind\"");

/// A panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panic at {location}")]
pub(crate) struct Panicked {
    /// File, line and column.
    pub(crate) location: String,
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Polls `work` to its end, or to its panic.
///
/// # Errors
///
/// `work` panicked.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match catch(|| work.as_mut().poll(context)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// Does `work` to its end, or to its panic.
///
/// # Errors
///
/// `work` panicked.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    install();
    let before = CATCHING.replace(true);
    // State that `work` leaves half done is dropped, or behind a lock whose users expect it.
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(before);
    done.map_err(|_| Panicked { location: LOCATION.take().unwrap_or_else(|| "an unknown location".to_owned()) })
}

/// Records the location of a panic that is being caught; all others go to the previous hook.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if CATCHING.get() {
                LOCATION.set(panic.location().map(ToString::to_string));
            } else {
                others(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_is_an_error_with_its_location() {
        let panicked = catch(|| panic!("a secret")).map(|()| 0).unwrap_err();
        assert!(panicked.location.contains("panics.rs:"), "{panicked}");
        assert!(!format!("{panicked} {panicked:?}").contains("secret"));
        assert_eq!(catch(|| 1), Ok(1));
    }

    #[tokio::test]
    async fn panic_after_an_await_is_caught() {
        let panicked = caught(async {
            tokio::task::yield_now().await;
            panic!("late");
        })
        .await;
        let panicked: Result<(), Panicked> = panicked;
        assert!(panicked.unwrap_err().location.contains("panics.rs:"));
    }
}
