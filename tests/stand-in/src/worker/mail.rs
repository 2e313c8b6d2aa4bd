//! `queue email-send`: says what the original would send.

use crate::broker::messages::Mail;

use super::Tools;

/// Sends nothing, and says that it did: the original says so too, whether it could or not.
pub(super) fn handle(tools: &Tools, body: &[u8]) {
    tools.log.info("new email send request detected", &[]);
    let Some(mail) = tools.read::<Mail>(body) else { return };
    for (email, user) in mail.emails.iter().zip(&mail.user_names) {
        tools.log.info("email sent", &[("email", email), ("user", user)]);
    }
}
