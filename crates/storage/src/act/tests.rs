//! The actions against a server with prepared answers.

use temporal_stack_common::{
    api::{MinioProvider, VersityProvider},
    s3::{
        Key, Mode,
        fake::{Fake, ID, SECRET, answer, refusal},
    },
};

use super::*;

const OK: &str = "200 OK";

fn action(fake: &Fake, kind: impl Into<Option<Kind>>, change: Change) -> Action {
    let key = Key { id: ID.to_owned(), secret: SECRET.to_owned() };
    let store = Store { address: fake.address(), administration: fake.address(), key, account: None };
    Action { store, kind: kind.into(), bucket: "albums".to_owned(), change, owner: None }
}

fn minio() -> Kind {
    Kind::Minio(MinioProvider::default())
}

fn versity() -> Kind {
    Kind::Versity(VersityProvider::default())
}

fn grant(others: &[&str]) -> Grant {
    let key = |id: &str| Key { id: id.to_owned(), secret: format!("{id}-secret") };
    Grant { bucket: "albums".to_owned(), key: key("new"), others: others.iter().map(|id| key(id)).collect() }
}

/// The requests that an action makes of a server that accepts everything.
async fn requests(kind: impl Into<Option<Kind>>, change: Change) -> Vec<String> {
    let fake = Fake::new(&[answer(OK, "")]).await;
    act(&action(&fake, kind, change), &Memory::default()).await.unwrap();
    fake.lines()
}

#[tokio::test]
async fn settings_of_a_bucket_are_plain_s3() {
    assert_eq!(requests(None, Change::Create { has_lock: true }).await, ["PUT /albums"]);
    assert_eq!(requests(None, Change::SetVersioning(true)).await, ["PUT /albums?versioning="]);
    let lock = Lock { mode: Mode::Governance, days: 1 };
    assert_eq!(requests(None, Change::SetLock(lock)).await, ["PUT /albums?object-lock="]);
}

#[tokio::test]
async fn owner_is_set_beside_the_tags_of_others() {
    let theirs = "<Tagging><TagSet><Tag><Key>cost</Key><Value>42</Value></Tag></TagSet></Tagging>";
    let fake = Fake::new(&[answer(OK, theirs), answer(OK, "")]).await;
    act(&action(&fake, None, Change::SetOwner("uid".to_owned())), &Memory::default()).await.unwrap();
    assert_eq!(fake.lines(), ["GET /albums?tagging=", "PUT /albums?tagging="]);
    let body = &fake.seen()[1].body;
    for tag in ["<Key>cost</Key><Value>42</Value>", "<Key>temporal-stack.dev/owner</Key><Value>uid</Value>"] {
        assert!(body.contains(tag), "{body}");
    }
}

#[tokio::test]
async fn bucket_with_another_owner_is_neither_emptied_nor_removed() {
    let tag = "<Tag><Key>temporal-stack.dev/owner</Key><Value>another</Value></Tag>";
    for change in [Change::Empty { has_versions: false }, Change::Remove { has_versions: false }] {
        for tags in [tag, ""] {
            let fake = Fake::new(&[answer(OK, &format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"))]).await;
            let action = Action { owner: Some("uid".to_owned()), ..action(&fake, None, change.clone()) };
            let memory = Memory::default();
            act(&action, &memory).await.unwrap();
            assert_eq!(fake.lines(), ["GET /albums?tagging="]);
            assert_eq!(memory.refusals.all().len(), 1, "it is not reported");
        }
    }
}

#[tokio::test]
async fn bucket_is_listed_again_before_it_is_removed() {
    for (has_versions, list, entry) in
        [(false, "ListBucketResult", "Contents"), (true, "ListVersionsResult", "Version")]
    {
        let change = || Change::Remove { has_versions };
        let fake = Fake::new(&[answer(OK, &format!("<{list}/>"))]).await;
        act(&action(&fake, None, change()), &Memory::default()).await.unwrap();
        assert_eq!(fake.lines().last().unwrap(), "DELETE /albums");
        let entry = format!("<{entry}><Key>new</Key><VersionId>1</VersionId><Size>1</Size></{entry}>");
        let fake = Fake::new(&[answer(OK, &format!("<{list}>{entry}</{list}>"))]).await;
        let action = action(&fake, None, change());
        let memory = Memory::default();
        act(&action, &memory).await.unwrap();
        assert_eq!(fake.lines().len(), 1, "{:?}", fake.lines());
        assert!(memory.refusals.all()["remove bucket albums"].cause.contains("no longer empty"));
    }
    let gone = Fake::new(&[refusal("404 Not Found", "NoSuchBucket", "gone")]).await;
    let action = action(&gone, None, Change::Remove { has_versions: false });
    let memory = Memory::default();
    act(&action, &memory).await.unwrap();
    assert!(memory.refusals.all().is_empty());
}

#[tokio::test]
async fn login_of_minio_is_one_import() {
    let fake = Fake::new(&[answer(OK, r#"{"added": {"users": ["new"]}, "failed": {}}"#)]).await;
    act(&action(&fake, minio(), Change::SetLogin(grant(&["old"]))), &Memory::default()).await.unwrap();
    assert_eq!(fake.lines(), ["PUT /minio/admin/v3/import-iam-v2"]);
    let body = &fake.seen()[0].body;
    for part in ["iam-assets/users.json", r#""new":{"secretKey":"new-secret""#, "temporal-stack-albums"] {
        assert!(body.contains(part), "{part}: {body}");
    }
}

#[tokio::test]
async fn key_that_was_restricted_is_not_due_again() {
    let fake = Fake::new(&[answer(OK, "{}")]).await;
    let action = action(&fake, minio(), Change::SetLogin(grant(&[])));
    let memory = Memory::default();
    memory.loose.verified("albums", true);
    act(&action, &memory).await.unwrap();
    assert!(memory.loose.due().is_empty());
    assert!(fake.seen()[0].body.contains("user_mappings.json"));
}

#[tokio::test]
async fn login_that_minio_does_not_import_is_a_failure() {
    let failed = r#"{"failed": {"users": [{"name": "new", "error": {}}]}}"#;
    let fake = Fake::new(&[answer(OK, failed)]).await;
    let failure =
        act(&action(&fake, minio(), Change::SetLogin(grant(&[]))), &Memory::default()).await.unwrap_err().to_string();
    assert!(failure.contains("the user was not imported") && !failure.contains("new"), "{failure}");
}

#[tokio::test]
async fn last_login_of_a_bucket_takes_its_policy_along() {
    let all = requests(minio(), Change::RemoveLogin(grant(&[]))).await;
    let policy = "DELETE /minio/admin/v3/remove-canned-policy?name=temporal-stack-albums";
    assert_eq!(all, ["DELETE /minio/admin/v3/remove-user?accessKey=new", policy]);
    let one = requests(minio(), Change::RemoveLogin(grant(&["old"]))).await;
    assert_eq!(one, ["DELETE /minio/admin/v3/remove-user?accessKey=new"]);
}

#[tokio::test]
async fn login_that_is_gone_is_removed_again() {
    let gone = answer("404 Not Found", r#"{"Code": "XMinioAdminNoSuchUser", "Message": "no user"}"#);
    let fake = Fake::new(&[gone]).await;
    let action = action(&fake, minio(), Change::RemoveLogin(grant(&["old"])));
    let memory = Memory::default();
    act(&action, &memory).await.unwrap();
    assert!(memory.refusals.all().is_empty());
}

#[tokio::test]
async fn login_of_versity_is_a_user_and_the_policy_of_the_bucket() {
    let fake = Fake::new(&[answer(OK, "")]).await;
    act(&action(&fake, versity(), Change::SetLogin(grant(&["old"]))), &Memory::default()).await.unwrap();
    assert_eq!(fake.lines(), ["PATCH /create-user", "PUT /albums?policy="]);
    let seen = fake.seen();
    assert!(seen[0].body.contains("<Access>new</Access><Secret>new-secret</Secret><Role>user</Role>"));
    assert!(seen[1].body.contains(r#"["old","new"]"#), "{}", seen[1].body);
}

#[tokio::test]
async fn user_of_versity_that_exists_gets_the_secret() {
    let exists = refusal("409 Conflict", "XAdminUserExists", "");
    let fake = Fake::new(&[exists, answer(OK, "")]).await;
    act(&action(&fake, versity(), Change::SetLogin(grant(&[]))), &Memory::default()).await.unwrap();
    assert_eq!(fake.lines(), ["PATCH /create-user", "PATCH /update-user?access=new", "PUT /albums?policy="]);
}

#[tokio::test]
async fn user_of_versity_leaves_the_policy_first() {
    assert_eq!(
        requests(versity(), Change::RemoveLogin(grant(&["old"]))).await,
        ["PUT /albums?policy=", "PATCH /delete-user?access=new"]
    );
    assert_eq!(
        requests(versity(), Change::RemoveLogin(grant(&[]))).await,
        ["DELETE /albums?policy=", "PATCH /delete-user?access=new"]
    );
}

#[tokio::test]
async fn refusal_is_remembered_and_fails_no_pass() {
    let fake = Fake::new(&[refusal("400 Bad Request", "InvalidBucketState", "no")]).await;
    let lock = Lock { mode: Mode::Governance, days: 1 };
    let action = action(&fake, None, Change::SetLock(lock));
    let memory = Memory::default();
    act(&action, &memory).await.unwrap();
    let noted = memory.refusals.all();
    assert!(noted["set the object lock of bucket albums"].cause.contains("InvalidBucketState"), "{noted:?}");
}

#[tokio::test]
async fn refusal_is_forgotten_when_the_action_succeeds() {
    let fake = Fake::new(&[refusal("400 Bad Request", "InvalidBucketState", "no"), answer(OK, "")]).await;
    let action = action(&fake, None, Change::SetVersioning(true));
    let memory = Memory::default();
    act(&action, &memory).await.unwrap();
    assert_eq!(memory.refusals.all().len(), 1);
    act(&action, &memory).await.unwrap();
    assert_eq!(memory.refusals.all().len(), 0);
}

#[tokio::test]
async fn silent_server_fails_the_pass() {
    let fake = Fake::new(&[answer("503 Service Unavailable", "")]).await;
    assert!(act(&action(&fake, None, Change::Remove { has_versions: false }), &Memory::default()).await.is_err());
}

#[tokio::test]
async fn bucket_is_emptied_page_by_page() {
    let version = |key: &str| {
        format!(
            "<Version><Key>{key}</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><LastModified>t</LastModified><ETag>e</ETag><Size>1</Size></Version>"
        )
    };
    let first = format!(
        "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>{}</ListVersionsResult>",
        version("a")
    );
    let last = format!("<ListVersionsResult><IsTruncated>false</IsTruncated>{}</ListVersionsResult>", version("b"));
    let locked = "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>";
    let answers = [answer(OK, &first), answer(OK, locked), answer(OK, &last), answer(OK, "<DeleteResult/>")];
    let fake = Fake::new(&answers).await;
    let action = action(&fake, None, Change::Empty { has_versions: true });
    let memory = Memory::default();
    act(&action, &memory).await.unwrap();
    let lines: Vec<String> = fake.lines().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET", "POST", "GET", "POST"]);
    assert!(fake.lines()[0].contains("max-keys=250"), "{:?}", fake.lines());
    let noted = memory.refusals.all();
    assert!(noted["delete the objects of bucket albums"].cause.contains("locked"), "{noted:?}");
}

#[test]
fn no_action_shows_a_key() {
    let store = crate::fixture::store();
    for change in [Change::SetLogin(grant(&["old"])), Change::RemoveLogin(grant(&[]))] {
        let action = Action { store: store.clone(), kind: None, bucket: "albums".to_owned(), change, owner: None };
        let shown = format!("{action} {action:?}");
        assert!(!shown.contains("new") && !shown.contains("secret") && !shown.contains("root"), "{shown}");
    }
}
