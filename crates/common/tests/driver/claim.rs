//! Which object may use a source with a default name.

use serde_json::json;

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn source_of_a_default_name_is_read_for_the_oldest_object() {
    let stage = Stage::new();
    stage.config_map("lamp-config", json!({"colour": "gold"})).await;
    stage.ready("a-plain", json!({"plain": true})).await;
    for name in ["older", "a-younger"] {
        stage.ready(name, json!({"colour": "red"})).await;
    }
    let colour = |name: &str| stage.object("configmaps", name)["data"]["colour"].clone();
    assert_eq!((colour("older"), colour("a-younger")), (json!("gold"), json!("red")));
}
