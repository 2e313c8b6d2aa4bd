//! The calls of MinIO's administration against a server with prepared answers.

use temporal_stack_common::s3::{
    Key,
    fake::{Fake, ID, SECRET, answer},
};

use super::*;

const OK: &str = "200 OK";

fn store(fake: &Fake) -> Store {
    let key = Key { id: ID.to_owned(), secret: SECRET.to_owned() };
    Store { address: fake.address(), administration: fake.address(), key, account: None }
}

fn servers(servers: i32) -> MinioProvider {
    MinioProvider { servers, ..MinioProvider::default() }
}

#[tokio::test]
async fn health_is_that_of_drives_and_cluster() {
    let info =
        r#"{"servers": [{"endpoint": "a:9000", "version": "v", "drives": [{"path": "/data1", "state": "ok"}]}]}"#;
    let fake = Fake::new(&[answer(OK, info), answer("503 Service Unavailable", "")]).await;
    let health = Minio(&servers(1)).health(&store(&fake)).await.unwrap();
    assert_eq!((health.drives.unwrap().len(), health.can_write), (1, Some(false)));
    assert_eq!(fake.lines(), ["GET /minio/admin/v3/info", "GET /minio/health/cluster"]);
}

#[tokio::test]
async fn drives_are_known_without_the_answer_of_the_cluster() {
    let info = r#"{"servers": [{"endpoint": "a:9000", "drives": [{"path": "/data1", "state": "ok"}]}]}"#;
    let fake = Fake::new(&[answer(OK, info), answer("500 No", "")]).await;
    let health = Minio(&servers(4)).health(&store(&fake)).await.unwrap();
    assert_eq!((health.drives.unwrap().len(), health.can_write), (1, None));
}

#[tokio::test]
async fn late_answer_about_servers_is_replaced_by_that_about_drives() {
    let disks =
        r#"{"Disks": [{"endpoint": "http://a.b:9000/data1", "state": "ok"}, {"endpoint": "http://c.b:9000/data1"}]}"#;
    let fake = Fake::new(&[answer("504 Late", ""), answer(OK, disks), answer(OK, "")]).await;
    let health = Minio(&servers(4)).health(&store(&fake)).await.unwrap();
    let online: Vec<bool> = health.drives.unwrap().iter().map(|drive| drive.is_online).collect();
    assert_eq!((online, health.can_write, health.version), (vec![true, false], Some(true), None));
    let lines = ["GET /minio/admin/v3/info", "GET /minio/admin/v3/storageinfo", "GET /minio/health/cluster"];
    assert_eq!(fake.lines(), lines);
    let slow = http::Failure::Slow { address: "a:9000".to_owned(), request: "GET /".to_owned(), seconds: 15 };
    assert!(is_late(&Failure::Http(slow)));
}

#[tokio::test]
async fn refused_question_about_servers_is_not_repeated() {
    let fake = Fake::new(&[answer("403 Forbidden", "")]).await;
    assert!(Minio(&servers(4)).health(&store(&fake)).await.is_err());
    assert_eq!(fake.lines().len(), 1);
}

#[tokio::test]
async fn crowded_answer_about_drives_is_a_failure() {
    let info = format!(r#"{{"servers": [{{"drives": [{{}}{}]}}]}}"#, ",{}".repeat(info::VALUES / 2));
    let fake = Fake::new(&[answer(OK, &info)]).await;
    let failure = Minio(&servers(1)).health(&store(&fake)).await.unwrap_err();
    assert!(matches!(failure, Failure::Http(http::Failure::TooManyValues { .. })), "{failure}");
}

#[tokio::test]
async fn only_one_of_several_servers_is_asked_whether_it_may_stop() {
    for (status, expected) in [(OK, true), ("412 Precondition Failed", false)] {
        let fake = Fake::new(&[answer(status, "")]).await;
        assert_eq!(Minio(&servers(4)).may_stop(&store(&fake)).await.ok(), Some(expected));
        assert_eq!(fake.lines(), ["GET /minio/health/cluster?maintenance=true"]);
    }
    let fake = Fake::new(&[answer("500 No", "")]).await;
    assert!(Minio(&servers(4)).may_stop(&store(&fake)).await.is_err());
    assert_eq!(Minio(&servers(1)).may_stop(&store(&fake)).await.ok(), Some(true));
    assert_eq!(fake.lines().len(), 1);
}

#[tokio::test]
async fn quota_of_zero_is_none() {
    for (quota, expected) in
        [(r#"{"quota": 0, "size": 0}"#, None), (r#"{"quota": 5}"#, Some(5)), (r#"{"size": 6}"#, Some(6))]
    {
        let fake = Fake::new(&[answer(OK, quota)]).await;
        let found = Minio(&servers(1)).quota(&store(&fake), "albums").await.unwrap();
        assert_eq!(found, Fact::Is(expected), "{quota}");
    }
}

#[test]
fn heap_ends_at_four_fifths_of_the_limit() {
    let limits = serde_json::json!({"limits": {"memory": "256Mi"}});
    let resources: ResourceRequirements = serde_json::from_value(limits).unwrap();
    let variables = variables("root", &resources);
    let limit = variables.iter().find(|variable| variable.name == "GOMEMLIMIT").unwrap();
    assert_eq!(limit.value.as_deref(), Some("214748360"));
}
