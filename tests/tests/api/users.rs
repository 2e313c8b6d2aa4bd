//! What users of comparable operators wrote: Secrets, ConfigMaps and configuration files as they are found.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    One, Subject,
    snapshot::children,
    subject::{NAME, condition_of, external},
    until,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase, annotation::OWNER},
    binding::text,
    condition::{CONFIG_HONOURED, STALLED},
};

use crate::{
    step::{complete, configure, ensure_untold, quiet, write_secret},
    with_controller,
};

e2e::for_each_kind!(data_without_their_marks_are_adopted_unchanged);

/// As backup tools and stores of secrets restore them.
async fn data_without_their_marks_are_adopted_unchanged<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        space.create(&K::embedded()).await?;
        // A permission for a full stop, which a restore must not use up. For an object storage it asks for another root credential.
        if K::PROGRAM != ObjectStorage::PROGRAM {
            space.annotate("temporal-stack.dev/full-restart", &json!("once")).await?;
        }
        complete(space, controller).await?;
        let secrets: Api<Secret> = space.api();
        let before = names(space).await?;
        for name in K::data() {
            let was = secrets.get(&name).await?;
            let bare = json!({"metadata": {"annotations": null, "labels": {
                "temporal-stack.dev/login": null,
                "temporal-stack.dev/peer": null,
                "temporal-stack.dev/shared-secret": null,
            }}});
            secrets.patch(&name, &PatchParams::default(), &Patch::Merge(bare)).await?;
            let is_whole = |secret: &Secret| secret.annotations().contains_key(OWNER);
            let again = until(&secrets, &name, "been given its marks again", is_whole).await?;
            ensure!(again.data == was.data, "{name} has other values");
            ensure!(again.labels() == was.labels(), "{name}: {:?} instead of {:?}", again.labels(), was.labels());
        }
        quiet(space, controller).await?;
        ensure!(names(space).await? == before, "{before:?} have become {:?}", names(space).await?);
        space.waits_for_its_pods().await.map(drop)
    })
    .await;
}

async fn names<K: Subject>(space: &One<'_, K>) -> Result<Vec<String>> {
    let secrets = space.api::<Secret>().list(&kube::api::ListParams::default()).await?;
    Ok(secrets.items.iter().map(kube::ResourceExt::name_any).collect())
}

/// Makes a second object beside the one that tests make.
async fn second<K: Subject>(space: &One<'_, K>, name: &str, spec: &Value) -> Result<K> {
    let object: K = serde_json::from_value(json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name},
        "spec": spec,
    }))?;
    Ok(space.objects().create(&PostParams::default(), &object).await?)
}

/// Waits until the object says this of the user's configuration.
async fn honoured<K: Subject>(space: &One<'_, K>, name: &str, reason: &str, about: &str) -> Result<()> {
    let what = format!("ConfigHonoured {reason} about {about}");
    until(&space.objects(), name, &what, |object: &K| {
        condition_of(object, CONFIG_HONOURED)
            .is_some_and(|condition| condition.reason == reason && condition.message.contains(about))
    })
    .await
    .map(drop)
}

/// The name and the password of a login.
async fn login<K: Subject>(space: &One<'_, K>, name: &str) -> Result<(String, String)> {
    let secret = until(&space.api::<Secret>(), name, "been made", |_| true).await?;
    let part = |key| text(&secret, key).map(str::to_owned).context("a login lacks a part");
    Ok((part("username")?, part("password")?))
}

#[tokio::test]
async fn default_config_map_counts_for_the_oldest_object() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        let keys = json!({"POSTGRES_DB": "users", "POSTGRES_USER": "users_app", "POSTGRES_PASSWORD": "one-for-all"});
        configure(space, "postgres-config", &keys).await?;
        space.create(&PostgresDatabase::embedded()).await?;
        second(space, "orders", &PostgresDatabase::embedded()).await?;
        honoured(space, NAME, "Adapted", "ConfigMap/postgres-config: POSTGRES_PASSWORD").await?;
        honoured(space, "orders", "Adapted", "is not used: it belongs to PostgresDatabase/temporal").await?;
        let first = login(space, "temporal-postgresdatabase-login-1").await?;
        ensure!(first == ("users_app".to_owned(), "one-for-all".to_owned()), "{}", first.0);
        let (name, password) = login(space, "orders-postgresdatabase-login-1").await?;
        ensure!(name == "orders_a" && password != "one-for-all", "orders has the login {name}");

        // It is not handed on, either.
        space.objects().delete(NAME, &DeleteParams::foreground()).await?;
        e2e::until_gone(&space.objects(), NAME).await?;
        let look = json!({"metadata": {"annotations": {"example.com/look": "1"}}});
        space.objects().patch("orders", &PatchParams::default(), &Patch::Merge(look)).await?;
        honoured(space, "orders", "Adapted", "is not used: it belongs to a deleted object").await?;
        let after = login(space, "orders-postgresdatabase-login-1").await?;
        ensure!(after == (name, password), "orders has another login");
        ensure!(
            space.api::<Secret>().get_opt("orders-postgresdatabase-login-2").await?.is_none(),
            "it has a second one"
        );

        // Whoever names it, reads it.
        let named = json!({"spec": {"config": {"configMap": "postgres-config"}}});
        space.objects().patch("orders", &PatchParams::default(), &Patch::Merge(named)).await?;
        let named = login(space, "orders-postgresdatabase-login-2").await?;
        ensure!(named == first, "{}", named.0);
        ensure_untold_of_two(space, controller).await
    })
    .await;
}

async fn ensure_untold_of_two(space: &One<'_, PostgresDatabase>, controller: &e2e::Controller) -> Result<()> {
    let objects = space.objects().list(&kube::api::ListParams::default()).await?;
    ensure!(!serde_json::to_string(&objects.items)?.contains("one-for-all"), "the password is in an object");
    let logged = controller.log.lines().iter().any(|line| line.to_string().contains("one-for-all"));
    ensure!(!logged, "the password is in the log");
    Ok(())
}

#[tokio::test]
async fn password_made_with_echo_loses_its_line_break() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        write_secret(space, "billing-login", &json!({"password": "hunter2\n"})).await?;
        let mut spec = PostgresDatabase::embedded();
        spec["username"] = json!("billing");
        spec["password"] = json!({"secretName": "billing-login"});
        space.create(&spec).await?;
        honoured(space, NAME, "Adapted", "spec.password: the key password ends with a line break").await?;
        let made = login(space, "temporal-postgresdatabase-login-1").await?;
        ensure!(made == ("billing".to_owned(), "hunter2".to_owned()), "{made:?}");
        write_secret(space, "billing-login", &json!({"password": "hunt\ner2"})).await?;
        space.stalled("SecretIncomplete", &["spec.password", "the key password contains a line break"]).await?;
        ensure_untold(space, controller, "er2").await
    })
    .await;
}

#[tokio::test]
async fn secret_of_another_postgresql_operator_is_read() {
    with_controller::<PostgresDatabase>(async |space, _| {
        let host = "127.0.0.1";
        let keys = json!({
            "dbname": "temporal", "host": host, "port": "1", "user": "app", "username": "app", "password": "s3cr3t",
            "uri": format!("postgresql://app:s3cr3t@{host}:1/temporal"), "jdbc-uri": "jdbc:postgresql://x", "pgpass": "x",
        });
        write_secret(space, "prod-app", &keys).await?;
        space.create(&external("prod-app")).await?;
        honoured(space, NAME, "Adapted", "dbname is read as database").await?;
        let binding = until(&space.api::<Secret>(), &PostgresDatabase::binding(), "been made", |_| true).await?;
        ensure!(text(&binding, "database") == Some("temporal") && text(&binding, "username") == Some("app"));
        write_secret(space, "prod-app", &json!({"username": "app", "password": "s3cr3t"})).await?;
        let parts = ["the keys host, database are absent or empty", "found password, username"];
        space.condition_about(STALLED, "True", "SecretIncomplete", &parts).await?;
        honoured(space, NAME, "Refused", "cannot be used").await
    })
    .await;
}

#[tokio::test]
async fn secret_of_the_rabbitmq_operator_is_read() {
    with_controller::<MessageQueue>(async |space, _| {
        let keys = json!({
            "default_user.conf": "default_user = someone\ndefault_pass = s3cr3t\n", "host": "127.0.0.1", "port": "1",
            "provider": "rabbitmq", "type": "rabbitmq", "username": "someone", "password": "s3cr3t",
        });
        write_secret(space, "prod-default-user", &keys).await?;
        space.create(&external("prod-default-user")).await?;
        honoured(space, NAME, "AsWritten", "is used as written").await?;
        let binding = until(&space.api::<Secret>(), &MessageQueue::binding(), "been made", |_| true).await?;
        ensure!(text(&binding, "virtual-host") == Some("/") && text(&binding, "username") == Some("someone"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn kubo_file_of_2019_is_refused_before_anything_starts() {
    with_controller::<IpfsCluster>(async |space, _| {
        let config = json!({
            "Identity": {"PeerID": "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"},
            "Addresses": {"Swarm": ["/ip4/0.0.0.0/tcp/4001"], "API": "/ip4/0.0.0.0/tcp/5001"},
            "API": {"HTTPHeaders": {"Access-Control-Allow-Origin": ["*"]}},
            "Discovery": {"MDNS": {"Enabled": true, "Interval": 10}},
            "Reprovider": {"Interval": "12h", "Strategy": "all"},
            "Swarm": {"EnableRelayHop": false},
        });
        let mut spec = IpfsCluster::embedded();
        spec["provider"]["kubo"]["kuboConfig"] = config;
        spec["network"] = json!("private");
        space.create(&spec).await?;
        let parts = [
            "spec.provider.kubo.kuboConfig",
            "Reprovider.Interval was removed: use Provide.DHT.Interval",
            "Reprovider.Strategy was removed: use Provide.Strategy",
            "Identity is managed",
            "Addresses.API is managed",
            "Access-Control-Allow-Origin has *",
            "Swarm.EnableRelayHop has no effect: use Swarm.RelayService.Enabled",
        ];
        space.stalled("InvalidSpec", &parts).await?;
        ensure!(children(space).await?.is_empty(), "something was made");
        let later = json!({"Identity": null, "Addresses": null, "Discovery": null, "Swarm": null});
        space.patch_provider(&json!({"kuboConfig": later})).await?;
        space
            .stalled("InvalidSpec", &["Reprovider.Interval", "Reprovider.Strategy", "Access-Control-Allow-Origin"])
            .await?;
        space.patch_provider(&json!({"kuboConfig": {"Reprovider": null, "API": null}})).await?;
        space.waits_for_its_pods().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn all_errors_of_rabbitmq_conf_are_reported_at_once() {
    with_controller::<MessageQueue>(async |space, _| {
        let lines = "cluster_partition_handling = pause_minority\ndefault_user = admin\ndefault_pass = s3cr3t\n\
            queue_master_locator = min-masters\nlisteners.tcp.default = 5672\nchannel_max = 1050\n\
            consumer_timeout = undefined\nmqtt.listeners.tcp.default = 1883\nlog.console.level = info\n";
        let mut spec = MessageQueue::embedded();
        spec["provider"]["rabbitmq"]["additionalConfig"] = json!(lines);
        space.create(&spec).await?;
        let parts = [
            "line 2: default_user",
            "line 3: default_pass",
            "line 4: queue_master_locator",
            "line 7: consumer_timeout must be a number of milliseconds",
            "line 8: mqtt.listeners.tcp.default belongs to the plugin rabbitmq_mqtt",
        ];
        let stalled = space.stalled("InvalidSpec", &parts).await?;
        for line in ["line 1:", "line 5:", "line 6:", "line 9:", "s3cr3t"] {
            ensure!(!stalled.message.contains(line), "{line}: {}", stalled.message);
        }
        let good = "cluster_partition_handling = pause_minority\nlisteners.tcp.default = 5672\nchannel_max = 1050\n";
        space.patch_provider(&json!({"additionalConfig": good})).await?;
        space.waits_for_its_pods().await?;
        let config = space.api::<ConfigMap>().get(&MessageQueue::child("config")).await?;
        let conf =
            config.data.and_then(|mut data| data.remove("rabbitmq.conf")).context("there is no rabbitmq.conf")?;
        ensure!(conf.contains("channel_max = 1050"), "{conf}");
        Ok(())
    })
    .await;
}
