//! Pinsets to files and back, with a peer whose answers a test decides.

use std::{env, fs, path::Path};

use crate::ipfs_cluster::fake::{self, Fake};

use super::*;

const PIN: &str = "{\"replication_factor_min\":1,\"replication_factor_max\":2,\"name\":\"n\",\"mode\":\"recursive\",\
    \"user_allocations\":null,\"expire_at\":\"0001-01-01T00:00:00Z\",\"metadata\":{\"k\":\"v\"},\"origins\":[],\"cid\":\"a\",\
    \"type\":\"pin\",\"allocations\":[\"A\"],\"max_depth\":-1,\"reference\":null,\"unknown\":1}\n";

/// A path that no other test uses; its file is removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(env::temp_dir().join(format!("temporal-stack-transfer-{}-{name}", std::process::id())))
    }

    fn args(&self, fake: &Fake) -> Args {
        Args { cluster_api: format!("http://{}", fake.address()), file: self.0.clone() }
    }

    fn part(&self) -> PathBuf {
        PathBuf::from(format!("{}.part", self.0.display()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn export_equals_the_peers_list_to_the_byte() {
    let place = Place::new("export");
    let fake = Fake::new(|_| fake::list(&[PIN, "{\"cid\":\"b\"}\n"], "X-Stream-Error: \r\n")).await;
    assert_eq!(export(&place.args(&fake)).await.unwrap(), 2);
    assert_eq!(fs::read_to_string(&place.0).unwrap(), format!("{PIN}{{\"cid\":\"b\"}}\n"));
    assert!(!place.part().exists());
}

#[tokio::test]
async fn export_of_nothing_is_an_empty_file() {
    let place = Place::new("empty");
    let fake = Fake::new(|_| fake::empty()).await;
    assert_eq!(export(&place.args(&fake)).await.unwrap(), 0);
    assert_eq!(fs::read_to_string(&place.0).unwrap(), "");
}

#[tokio::test]
async fn export_that_is_cut_leaves_the_former_file() {
    let place = Place::new("cut");
    fs::write(&place.0, "former").unwrap();
    let fake = Fake::new(|_| fake::cut(&[PIN])).await;
    let failure = export(&place.args(&fake)).await.unwrap_err();
    assert!(failure.to_string().contains("the pins could not be listed completely"));
    assert_eq!(fs::read_to_string(&place.0).unwrap(), "former");
    assert!(!place.part().exists());
}

#[tokio::test]
async fn import_keeps_options_and_skips_expired_pins() {
    let place = Place::new("import");
    let raised = "{\"cid\":\"b\",\"replication_factor_min\":3,\"replication_factor_max\":3,\
        \"metadata\":{\"temporal-stack.dev/replication\":\"1,2\"}}";
    let expired = "{\"cid\":\"c\",\"expire_at\":\"2020-01-01T00:00:00Z\"}";
    fs::write(&place.0, format!("{PIN}\n{raised}\n{expired}")).unwrap();
    let fake = Fake::new(|_| fake::whole("200 OK", "{}")).await;
    let imported = import(&place.args(&fake)).await.unwrap();
    assert_eq!(imported.to_string(), "2 pinned, 1 expired and skipped, 0 failed");
    let mut asked = fake.asked();
    asked.sort();
    assert_eq!(
        asked,
        [
            "POST /pins/a?replication-min=1&replication-max=2&name=n&mode=recursive&meta-k=v",
            "POST /pins/b?replication-min=1&replication-max=2"
        ]
    );
}

#[tokio::test]
async fn import_goes_on_after_failures() {
    let place = Place::new("fails");
    let lines = "{\"cid\":\"a\"}\nno pin\n{\"cid\":\"b\"}\n{\"cid\":\"c\",\"type\":\"shard-pin\"}\n{\"cid\":\"d\"}\n";
    fs::write(&place.0, lines).unwrap();
    let fake = Fake::new(|asked| {
        if asked.starts_with("POST /pins/b?") {
            fake::whole("500 Internal Server Error", "{\"code\":500,\"message\":\"not enough peers\"}")
        } else {
            fake::whole("200 OK", "{}")
        }
    })
    .await;
    let Failure::Incomplete(imported) = import(&place.args(&fake)).await.unwrap_err() else { panic!() };
    assert_eq!(imported, Imported { pinned: 2, skipped: 0, failed: 3 });
}

#[tokio::test]
async fn many_lines_are_all_imported() {
    let place = Place::new("many");
    let lines: Vec<_> = (0..200).map(|number| format!("{{\"cid\":\"{number}\"}}\n")).collect();
    fs::write(&place.0, lines.concat()).unwrap();
    let fake = Fake::new(|_| fake::whole("200 OK", "{}")).await;
    assert_eq!(import(&place.args(&fake)).await.unwrap().pinned, 200);
}

#[tokio::test]
async fn line_that_is_no_pin_has_a_cause() {
    let client = peer("http://127.0.0.1:1").unwrap();
    let LineOutcome::Failed(cause) = import_line(&client, "{}", Timestamp::now()).await else { panic!() };
    assert_eq!(cause, "not a pin: missing field `cid` at line 1 column 2");
}

#[tokio::test]
async fn missing_files_and_odd_addresses_are_refused() {
    let place = Place::new("missing");
    let mut args = Args { cluster_api: "http://127.0.0.1:9094".to_owned(), file: place.0.clone() };
    assert!(import(&args).await.unwrap_err().to_string().contains("cannot be read to the end; before that: 0 pinned"));
    for url in ["127.0.0.1:9094", "https://127.0.0.1:9094", "http://127.0.0.1:9094/pins", "/ip4/127.0.0.1/tcp/9094"] {
        args.cluster_api = url.to_owned();
        assert!(matches!(export(&args).await, Err(Failure::Address)), "{url}");
    }
    args = Args { cluster_api: "http://127.0.0.1:1".to_owned(), file: Path::new("/nowhere/pins").to_owned() };
    assert!(matches!(export(&args).await, Err(Failure::Write(..))));
}
