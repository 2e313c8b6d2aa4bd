//! Users: table `users`.

use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::{Database, Failure};

/// How hard a password is to guess, as a power of two.
const COST: u32 = 10;
/// What every account's customer object is.
const EMPTY_CUSTOMER_OBJECT: &str = "zdpuAnUGSDoNQoHQ2jpjhPePHEvg26mYLsAAGxr4jkzCWUpde";

/// The keys of a user: names and peer IDs, in the same order.
#[derive(Debug)]
pub(crate) struct Keys {
    /// `<user>-<name>`.
    pub(crate) names: Vec<String>,
    /// `12D3Koo…`.
    pub(crate) ids: Vec<String>,
}

impl Database {
    /// Makes an account that may not upload yet. A name or an address that is there is refused.
    pub(crate) async fn new_account(&self, name: &str, password: &str, email: &str) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO users (created_at, updated_at, user_name, email_address, account_enabled,
            email_enabled, email_verification_token, admin_access, hashed_password, free, customer_object_hash, organization)
            VALUES (now(), now(), $1, $2, true, false, '', false, $3, true, $4, '')";
        match self.row("SELECT id FROM users WHERE email_address = $1 AND deleted_at IS NULL", &[&email]).await {
            Ok(_) => return Err(Failure::Refused("email address already taken")),
            Err(Failure::NotFound) => {}
            Err(failure) => return Err(failure),
        }
        if self.is_user(name).await? {
            return Err(Failure::Refused("username is already taken"));
        }
        let hashed = bcrypt::hash(password, COST).map_err(|_| Failure::Refused("the password cannot be hashed"))?;
        let hashed = HEXLOWER.encode(hashed.as_bytes());
        self.change(INSERT, &[&name, &email, &hashed, &EMPTY_CUSTOMER_OBJECT]).await?;
        self.new_usage(name).await
    }

    async fn is_user(&self, name: &str) -> Result<bool, Failure> {
        let found = self.rows("SELECT id FROM users WHERE user_name = $1 AND deleted_at IS NULL", &[&name]).await?;
        Ok(!found.is_empty())
    }

    /// Does what the link in the mail would.
    pub(crate) async fn verify_email(&self, name: &str) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE users SET email_enabled = true, email_verification_token = $2, updated_at = now()
            WHERE user_name = $1 AND deleted_at IS NULL";
        let mut token = [0; 16];
        SystemRandom::new().fill(&mut token).map_err(|_| Failure::Refused("there is no randomness"))?;
        self.change(UPDATE, &[&name, &HEXLOWER.encode(&token)]).await.map(drop)
    }

    /// Makes an administrator of a user, or a user of an administrator.
    pub(crate) async fn toggle_admin(&self, name: &str) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE users SET admin_access = NOT coalesce(admin_access, false), updated_at = now()
            WHERE user_name = $1 AND deleted_at IS NULL";
        match self.change(UPDATE, &[&name]).await? {
            0 => Err(Failure::Refused("user account does not exist")),
            _ => Ok(()),
        }
    }

    /// Whether a user is an administrator.
    pub(crate) async fn is_admin(&self, name: &str) -> Result<bool, Failure> {
        const SELECT: &str =
            "SELECT coalesce(admin_access, false) FROM users WHERE user_name = $1 AND deleted_at IS NULL";
        Ok(self.row(SELECT, &[&name]).await?.try_get(0)?)
    }

    /// The name of the user who has this name or address and this password; `None`: there is none, or not yet.
    pub(crate) async fn sign_in(&self, name_or_email: &str, password: &str) -> Result<Option<String>, Failure> {
        const SELECT: &str = "SELECT user_name, hashed_password FROM users
            WHERE $1 IN (user_name, email_address) AND account_enabled AND email_enabled AND deleted_at IS NULL
            ORDER BY user_name = $1 DESC";
        let row = match self.row(SELECT, &[&name_or_email]).await {
            Ok(row) => row,
            Err(Failure::NotFound) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let (name, hashed): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let hashed = HEXLOWER.decode(hashed.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let password = password.to_owned();
        let check = move || hashed.is_some_and(|hashed| bcrypt::verify(password, &hashed).unwrap_or_default());
        Ok(tokio::task::spawn_blocking(check).await.unwrap_or_default().then_some(name))
    }

    /// Whether a user may use the routes that need one.
    pub(crate) async fn may_enter(&self, name: &str) -> Result<bool, Failure> {
        const SELECT: &str = "SELECT id FROM users
            WHERE user_name = $1 AND account_enabled AND email_enabled AND deleted_at IS NULL";
        Ok(!self.rows(SELECT, &[&name]).await?.is_empty())
    }

    /// Gives credits, or gives them back.
    pub(crate) async fn add_credits(&self, name: &str, credits: f64) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE users SET credits = credits + $2, updated_at = now()
            WHERE user_name = $1 AND deleted_at IS NULL";
        match self.change(UPDATE, &[&name, &credits]).await? {
            0 => Err(Failure::NotFound),
            _ => Ok(()),
        }
    }

    /// Takes credits, if there are so many.
    pub(crate) async fn take_credits(&self, name: &str, credits: f64) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE users SET credits = credits - $2, updated_at = now()
            WHERE user_name = $1 AND credits >= $2 AND deleted_at IS NULL";
        match self.change(UPDATE, &[&name, &credits]).await? {
            0 => Err(Failure::Refused("user does not have enough credits to pay for api call")),
            _ => Ok(()),
        }
    }

    /// The keys of a user.
    pub(crate) async fn keys(&self, name: &str) -> Result<Keys, Failure> {
        const SELECT: &str = "SELECT coalesce(ipfs_key_names, '{}'), coalesce(ipfs_key_ids, '{}') FROM users
            WHERE user_name = $1 AND deleted_at IS NULL";
        let row = self.row(SELECT, &[&name]).await?;
        Ok(Keys { names: row.try_get(0)?, ids: row.try_get(1)? })
    }

    /// Remembers a key of a user.
    pub(crate) async fn add_key(&self, name: &str, key: &str, id: &str) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE users SET ipfs_key_names = array_append(ipfs_key_names, $2::text),
            ipfs_key_ids = array_append(ipfs_key_ids, $3::text), updated_at = now()
            WHERE user_name = $1 AND deleted_at IS NULL";
        if self.keys(name).await?.names.iter().any(|known| known == key) {
            return Err(Failure::Refused("key already exists in database for user"));
        }
        self.change(UPDATE, &[&name, &key, &id]).await.map(drop)
    }

    /// Whether a user may use a private network.
    pub(crate) async fn may_use_network(&self, name: &str, network: &str) -> Result<bool, Failure> {
        const SELECT: &str = "SELECT coalesce($2::text = ANY (ipfs_network_names), false) FROM users
            WHERE user_name = $1 AND deleted_at IS NULL";
        Ok(self.row(SELECT, &[&name, &network]).await?.try_get(0)?)
    }
}
