//! Surveys of pinsets that are remembered: looking through millions of pins for a number in a status is not worth it in every
//! pass.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::survey::Survey;

/// The least time that a survey is good for.
const GOOD_FOR: Duration = Duration::from_secs(120);
/// A survey is good for so many times as long as it took: never more than this part of the time is spent on them.
const REST: u32 = 50;
/// One that found something amiss is made again sooner.
const SOON: Duration = Duration::from_secs(10);

/// Surveys by the UID of their object.
#[derive(Debug, Default)]
pub(crate) struct Surveys(Mutex<HashMap<String, Kept>>);

#[derive(Debug)]
struct Kept {
    survey: Survey,
    /// The lives of the pods that were looked at.
    lives: String,
    until: Instant,
}

impl Surveys {
    /// What was found, if it is recent, and of these pods.
    pub(crate) fn recent(&self, uid: &str, lives: &str) -> Option<Survey> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get(uid)?;
        (kept.lives == lives && Instant::now() < kept.until).then(|| kept.survey.clone())
    }

    /// Whether something was amiss when the pins were looked through last, and it is time for another look.
    pub(crate) fn is_in_doubt(&self, uid: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).is_some_and(|kept| !kept.survey.is_well() && Instant::now() >= kept.until)
    }

    /// Keeps what was found, and how long that took.
    pub(crate) fn keep(&self, uid: String, lives: String, survey: &Survey, took: Duration) {
        let least = if survey.is_well() { GOOD_FOR } else { SOON };
        let until = Instant::now() + least.max(took.saturating_mul(REST));
        let survey = survey.without_lists();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Objects that have gone are forgotten with the next one's survey.
        all.retain(|_, kept| kept.until.elapsed() < GOOD_FOR);
        all.insert(uid, Kept { survey, lives, until });
    }
}
