//! What users have pinned: tables `uploads` and `ip_ns`.

use std::path::Path;

use serde_json::Value;

use super::{Database, Failure};

/// Something that has been pinned for a user.
#[derive(Debug)]
pub(crate) struct Pinned<'a> {
    /// Its CID.
    pub(crate) cid: &'a str,
    /// `pin-cluster` or `pin`: by what it was pinned.
    pub(crate) by: &'a str,
    /// `public`, or a private network's name.
    pub(crate) network: &'a str,
    /// For whom.
    pub(crate) user: &'a str,
    /// For how long.
    pub(crate) months: i64,
    /// The name of the file that was uploaded.
    pub(crate) file: &'a str,
    /// Its bytes.
    pub(crate) size: i64,
}

impl Database {
    /// Whether a user has uploaded this.
    pub(crate) async fn is_upload(&self, user: &str, cid: &str, network: &str) -> Result<bool, Failure> {
        const SELECT: &str = "SELECT id FROM uploads
            WHERE user_name = $1 AND hash = $2 AND network_name = $3 AND deleted_at IS NULL";
        Ok(!self.rows(SELECT, &[&user, &cid, &network]).await?.is_empty())
    }

    /// Writes a new row.
    pub(crate) async fn add_upload(&self, pinned: &Pinned<'_>) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO uploads (created_at, updated_at, hash, type, network_name, hold_time_in_months,
            user_name, garbage_collect_date, encrypted, file_name, file_name_lower_case, file_name_upper_case, extension,
            size, directory)
            VALUES (now(), now(), $1, $2, $3, $4::int, $5, now() + make_interval(months => $4::int), false, $6, $7, $8, $9,
            $10, false)";
        let months = i32::try_from(pinned.months).map_err(|_| Failure::Refused("hold time out of range"))?;
        let (lower, upper) = (pinned.file.to_lowercase(), pinned.file.to_uppercase());
        let extension = Path::new(pinned.file).extension().and_then(|extension| extension.to_str());
        let extension = extension.map(|extension| format!(".{extension}")).unwrap_or_default();
        self.change(
            INSERT,
            &[
                &pinned.cid,
                &pinned.by,
                &pinned.network,
                &months,
                &pinned.user,
                &pinned.file,
                &lower,
                &upper,
                &extension,
                &pinned.size,
            ],
        )
        .await
        .map(drop)
    }

    /// Lets a row live longer; one that would live shorter is an error.
    pub(crate) async fn extend_upload(&self, pinned: &Pinned<'_>) -> Result<(), Failure> {
        const UPDATE: &str = "UPDATE uploads SET updated_at = now(), hold_time_in_months = $4::int,
            garbage_collect_date = now() + make_interval(months => $4::int)
            WHERE user_name = $1 AND hash = $2 AND network_name = $3 AND deleted_at IS NULL
            AND garbage_collect_date <= now() + make_interval(months => $4::int) + interval '1 second'";
        const SHORTER: &str = "upload would not extend garbage collection date so there is no need to process";
        let months = i32::try_from(pinned.months).map_err(|_| Failure::Refused("hold time out of range"))?;
        match self.change(UPDATE, &[&pinned.user, &pinned.cid, &pinned.network, &months]).await? {
            0 => Err(Failure::Refused(SHORTER)),
            _ => Ok(()),
        }
    }

    /// All that a user has uploaded, as the original's JSON.
    pub(crate) async fn uploads(&self, user: &str) -> Result<Value, Failure> {
        const SELECT: &str = "SELECT json_build_object('ID', id, 'CreatedAt', created_at, 'UpdatedAt', updated_at,
            'DeletedAt', deleted_at, 'Hash', hash, 'Type', type, 'NetworkName', network_name, 'HoldTimeInMonths',
            hold_time_in_months, 'UserName', user_name, 'GarbageCollectDate', garbage_collect_date, 'Encrypted', encrypted,
            'FileName', file_name, 'FileNameLowerCase', file_name_lower_case, 'FileNameUpperCase', file_name_upper_case,
            'Extension', extension, 'Size', size, 'Directory', directory)::text
            FROM uploads WHERE user_name = $1 AND deleted_at IS NULL ORDER BY id";
        let rows = self.rows(SELECT, &[&user]).await?;
        let read = |row: &tokio_postgres::Row| -> Result<Value, Failure> {
            let text: String = row.try_get(0)?;
            serde_json::from_str(&text).map_err(|error| Failure::Statement(error.to_string()))
        };
        rows.iter().map(read).collect()
    }

    /// Remembers what a name leads to.
    pub(crate) async fn set_record(&self, id: &str, key: &str, cid: &str, user: &str) -> Result<(), Failure> {
        const UPSERT: &str = "INSERT INTO ip_ns (created_at, updated_at, sequence, ip_ns_hash, ip_fs_hashes,
            current_ip_fs_hash, key, network_name, user_name) VALUES (now(), now(), 1, $1, ARRAY[$3::text], $3, $2, 'public', $4)
            ON CONFLICT (ip_ns_hash) DO UPDATE SET updated_at = now(), sequence = ip_ns.sequence + 1,
            ip_fs_hashes = array_append(ip_ns.ip_fs_hashes, $3::text), current_ip_fs_hash = $3";
        self.change(UPSERT, &[&id, &key, &cid, &user]).await.map(drop)
    }
}
