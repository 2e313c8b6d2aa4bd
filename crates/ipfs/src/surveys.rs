//! What is remembered of pinsets. Looking through millions of pins for a number in a status is not worth it in every pass; and of
//! copies that have gone IPFS Cluster knows neither why, nor how often they were tried. All of it may be lost: a new process
//! finds it out again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{observe::Tried, survey::Survey};

/// The least time that a survey is good for.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// A survey is good for so many times as long as it took: never more than this part of the time is spent on them.
const REST: u32 = 50;
/// How many copies of a cluster are remembered that were tried again: some 200 bytes each.
const REMEMBERED: usize = 10_000;
/// One that found something amiss is made again sooner.
const SOON: Duration = Duration::from_secs(10);

/// What is remembered, by the UID of the object.
#[derive(Debug, Default)]
pub(crate) struct Surveys(Mutex<HashMap<String, Kept>>);

#[derive(Debug, Default)]
struct Kept {
    survey: Survey,
    /// The lives of the pods that were looked at.
    lives: String,
    until: Option<Instant>,
    /// How often the controller had a copy tried again: the peer's ordinal, and what.
    tries: HashMap<(i32, String), u32>,
    /// What a peer's Kubo said when it was to pin something that has gone.
    words: HashMap<i32, String>,
}

impl Surveys {
    /// What was found, if it is recent, and of these pods.
    pub(crate) fn recent(&self, uid: &str, lives: &str) -> Option<Survey> {
        let all = self.all();
        let kept = all.get(uid)?;
        let is_recent = kept.lives == lives && kept.until.is_some_and(|until| Instant::now() < until);
        is_recent.then(|| kept.survey.clone())
    }

    /// Whether something was amiss when the pins were looked through last, or was not there yet.
    pub(crate) fn is_in_doubt(&self, uid: &str) -> bool {
        self.all().get(uid).is_some_and(|kept| !kept.survey.is_settled())
    }

    /// Keeps what was found, and how long that took.
    pub(crate) fn keep(&self, uid: &str, lives: String, survey: &Survey, took: Duration) {
        let least = if survey.is_settled() { GOOD_FOR } else { SOON };
        let mut all = self.all();
        // Objects that have gone are forgotten with the next one's survey.
        all.retain(|_, kept| kept.until.is_none_or(|until| until.elapsed() < GOOD_FOR));
        let kept = all.entry(uid.to_owned()).or_default();
        kept.until = Some(Instant::now() + least.max(took.saturating_mul(REST)));
        kept.survey = survey.without_lists();
        kept.lives = lives;
        if survey.is_well() {
            kept.tries = HashMap::new();
            kept.words = HashMap::new();
        }
    }

    /// Remembers that a copy was tried again. When there are too many to remember, counting begins again.
    pub(crate) fn note_try(&self, uid: &str, ordinal: i32, cid: &str) {
        let mut all = self.all();
        let tries = &mut all.entry(uid.to_owned()).or_default().tries;
        if tries.len() >= REMEMBERED {
            tries.clear();
        }
        *tries.entry((ordinal, cid.to_owned())).or_default() += 1;
    }

    /// Remembers what a peer's Kubo said about a copy that has gone.
    pub(crate) fn note_words(&self, uid: &str, ordinal: i32, words: String) {
        self.all().entry(uid.to_owned()).or_default().words.insert(ordinal, words);
    }

    /// What is known of a copy that has gone.
    pub(crate) fn tried(&self, uid: &str, ordinal: i32, cid: &str) -> Tried {
        let all = self.all();
        let Some(kept) = all.get(uid) else { return Tried::default() };
        let times = kept.tries.get(&(ordinal, cid.to_owned())).copied().unwrap_or_default();
        Tried { times, words: kept.words.get(&ordinal).cloned() }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
