//! What users may use and have used: table `usages`.

use super::{Database, Failure};

/// A tier whose uploads cost nothing and are bounded.
const FREE: &str = "free";
/// How much a free account may upload, in bytes.
const FREE_UPLOADS: i64 = 3 << 30;
const GIBIBYTE: f64 = 1_073_741_824.0;

/// What a user may use.
#[derive(Debug)]
pub(crate) struct Usage {
    tier: String,
    data_used: i64,
    keys: (i32, i32),
    messages: (i32, i32),
}

impl Usage {
    /// What holding so many bytes for so many months costs, in credits.
    pub(crate) fn cost(&self, bytes: i64, months: i64) -> f64 {
        let price = match self.tier.as_str() {
            "paid" => 0.07,
            "partner" => 0.05,
            _ => return 0.0,
        };
        let (size, months) = (to_float(bytes) / GIBIBYTE, to_float(months));
        size * price * months
    }

    /// How long something may be held.
    pub(crate) fn check_months(&self, months: i64) -> Result<(), &'static str> {
        match self.tier.as_str() {
            FREE | "unverified" if months > 12 => Err("free accounts are limited to maximum hold times of 12 month"),
            _ if months > 24 => Err("non free accounts are limited to a maximum hold time of 24 months"),
            _ => Ok(()),
        }
    }

    /// Whether one more key may be made.
    pub(crate) fn may_make_key(&self) -> bool {
        self.keys.0 < self.keys.1
    }

    /// Whether one more message may be published.
    pub(crate) fn may_publish(&self) -> bool {
        self.messages.0 < self.messages.1
    }
}

#[expect(clippy::cast_precision_loss, reason = "prices are no integers")]
fn to_float(number: i64) -> f64 {
    number as f64
}

impl Database {
    /// The account that nothing is allowed to.
    pub(super) async fn new_usage(&self, name: &str) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO usages (created_at, updated_at, user_name, tier, claimed_ens_name)
            VALUES (now(), now(), $1, 'unverified', false)";
        self.change(INSERT, &[&name]).await.map(drop)
    }

    /// Gives a user the free tier.
    pub(crate) async fn set_free_tier(&self, name: &str) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE usages SET tier = $2, monthly_data_limit_bytes = $3::bigint, keys_allowed = 5,
            pub_sub_messages_allowed = 100, ip_ns_records_allowed = 5 WHERE user_name = $1 AND deleted_at IS NULL";
        match self.change(UPDATE, &[&name, &FREE, &FREE_UPLOADS]).await? {
            0 => Err(Failure::NotFound),
            _ => Ok(()),
        }
    }

    /// What a user may use.
    pub(crate) async fn usage(&self, name: &str) -> Result<Usage, Failure> {
        const SELECT: &str = "SELECT tier, current_data_used_bytes::bigint, keys_created, keys_allowed,
            pub_sub_messages_sent, pub_sub_messages_allowed FROM usages WHERE user_name = $1 AND deleted_at IS NULL";
        let row = self.row(SELECT, &[&name]).await?;
        Ok(Usage {
            tier: row.try_get(0)?,
            data_used: row.try_get(1)?,
            keys: (row.try_get(2)?, row.try_get(3)?),
            messages: (row.try_get(4)?, row.try_get(5)?),
        })
    }

    /// Counts an upload, if it is allowed.
    pub(crate) async fn count_data(&self, name: &str, bytes: i64) -> Result<(), Failure> {
        let usage = self.usage(name).await?;
        if usage.tier == "unverified" {
            return Err(Failure::Refused("unverified accounts must verify before being able to upload"));
        }
        if usage.tier == FREE && usage.data_used.saturating_add(bytes) >= FREE_UPLOADS {
            const LIMIT: &str = "upload limit will be reached, please upload smaller content or upgrade your plan";
            return Err(Failure::Refused(LIMIT));
        }
        self.change_data(name, bytes).await
    }

    /// Takes back what was counted.
    pub(crate) async fn uncount_data(&self, name: &str, bytes: i64) -> Result<(), Failure> {
        self.change_data(name, -bytes).await
    }

    async fn change_data(&self, name: &str, bytes: i64) -> Result<(), Failure> {
        const UPDATE: &str =
            "UPDATE usages SET current_data_used_bytes = greatest(0, current_data_used_bytes + $2::bigint)
            WHERE user_name = $1 AND deleted_at IS NULL";
        self.change(UPDATE, &[&name, &bytes]).await.map(drop)
    }

    /// Counts a key.
    pub(crate) async fn count_key(&self, name: &str) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE usages SET keys_created = keys_created + 1, updated_at = now()
            WHERE user_name = $1 AND deleted_at IS NULL";
        self.change(UPDATE, &[&name]).await.map(drop)
    }

    /// Counts a published message.
    pub(crate) async fn count_message(&self, name: &str) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE usages SET pub_sub_messages_sent = pub_sub_messages_sent + 1, updated_at = now()
            WHERE user_name = $1 AND deleted_at IS NULL";
        self.change(UPDATE, &[&name]).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(tier: &str) -> Usage {
        Usage { tier: tier.to_owned(), data_used: 0, keys: (5, 5), messages: (99, 100) }
    }

    #[test]
    fn free_accounts_pay_nothing_and_others_by_size_and_time() {
        assert!(usage("free").cost(1 << 40, 12).abs() < f64::EPSILON);
        assert!((usage("paid").cost(2 << 30, 10) - 1.4).abs() < 1e-9);
    }

    #[test]
    fn free_accounts_hold_for_a_year_and_others_for_two() {
        assert!(usage("free").check_months(12).is_ok() && usage("free").check_months(13).is_err());
        assert!(usage("paid").check_months(24).is_ok() && usage("paid").check_months(25).is_err());
    }

    #[test]
    fn exhausted_allowance_is_refused() {
        assert!(!usage("free").may_make_key() && usage("free").may_publish());
    }
}
