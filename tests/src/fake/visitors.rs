//! Who has connected to a fake, by the login that each connection names.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{interval, timeout};

/// How long a connection may take to name its login: one that was just opened has not done so yet.
const NAMED_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at those without a login.
const TURN: Duration = Duration::from_millis(50);

/// The login of each connection, once it is named.
#[derive(Clone, Debug, Default)]
pub(super) struct Visitors(Arc<Mutex<Vec<Option<String>>>>);

impl Visitors {
    /// Notes a connection; returns its number.
    pub(super) fn arrive(&self) -> usize {
        let mut all = self.all();
        all.push(None);
        all.len() - 1
    }

    /// Notes the login of a connection.
    pub(super) fn identify(&self, number: usize, login: &str) {
        if let Some(visitor) = self.all().get_mut(number) {
            *visitor = Some(login.to_owned());
        }
    }

    /// How many connections there were.
    pub(super) fn count(&self) -> u64 {
        self.all().len() as u64
    }

    /// The connections that have named another login than this one, or none at all.
    pub(super) async fn others_than(&self, login: &str) -> Vec<String> {
        let mut turns = interval(TURN);
        let named = async {
            while self.all().iter().any(Option::is_none) {
                turns.tick().await;
            }
        };
        // Whoever speaks another protocol names none.
        let _ = timeout(NAMED_WITHIN, named).await;
        let all = self.all();
        let others = all.iter().filter(|visitor| visitor.as_deref() != Some(login));
        others.map(|visitor| visitor.clone().unwrap_or_else(|| "without a login".to_owned())).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
