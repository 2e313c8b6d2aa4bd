//! Requests to a management API in memory, and answers that are not as they should be.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A management API that answers paths as a test wants, and records them.
async fn fake(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (Management, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new("127.0.0.1", listener.local_addr().unwrap().port()).with_login("admin", "s3cret");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let body = answer(&path);
            log.lock().unwrap().push(path);
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            // One that has read enough closes the connection.
            let _ = stream.write_all([head, body].concat().as_bytes()).await;
        }
    });
    (Management { client: Client::new(), server }, asked)
}

fn listed(names: impl Iterator<Item = String>) -> String {
    json!(names.map(|name| json!({"name": name, "vhost": "v", "type": "classic"})).collect::<Vec<_>>()).to_string()
}

#[tokio::test]
async fn version_of_any_length_is_shortened() {
    let (management, _) = fake(|_| json!({"rabbitmq_version": "4".repeat(1 << 20)}).to_string()).await;
    assert!(management.version().await.unwrap().len() < 400);
}

#[tokio::test]
async fn list_of_queues_is_one_request() {
    // In pages, one queue goes and one comes with each question: what is behind the end of a page is never seen.
    let moment = Mutex::new(0);
    let (management, asked) = fake(move |path| {
        let mut moment = moment.lock().unwrap();
        *moment += 1;
        let names = (0..1200).map(|number| format!("q{}", number + *moment));
        match path.split("page=").nth(1) {
            None => listed(names),
            Some(page) => {
                let page: usize = page.split('&').next().unwrap().parse().unwrap();
                let items: Value = serde_json::from_str(&listed(names.skip(500 * (page - 1)).take(500))).unwrap();
                json!({"items": items, "page_count": 3, "total_count": 1200}).to_string()
            }
        }
    })
    .await;
    let queues = management.queues().await.unwrap();
    let first: u32 = queues[0].name[1..].parse().unwrap();
    let names: Vec<String> = queues.into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, (first..first + 1200).map(|number| format!("q{number}")).collect::<Vec<_>>());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn list_of_queues_over_its_limit_fails() {
    let (management, _) = fake(|_| "x".repeat(LIST.1 + 1)).await;
    let failure = management.queues().await.unwrap_err();
    assert!(matches!(failure, Failure::Http(http::Failure::TooLarge { limit, .. }) if limit == LIST.1), "{failure}");
}

#[tokio::test]
async fn list_of_ten_thousand_queues_is_below_the_limit() {
    let queue = |number: u32| {
        let members: Vec<_> =
            (0..3).map(|node| format!("rabbit@temporal-messagequeue-{node}.pods.default.svc")).collect();
        json!({
            "name": format!("orders.of.customer.{number}"), "vhost": "temporal", "type": "quorum", "members": members,
            "online": members, "node": members[0], "durable": true, "arguments": {"x-queue-type": "quorum"},
        })
    };
    let (management, _) = fake(move |_| json!((0..10_000).map(queue).collect::<Vec<_>>()).to_string()).await;
    assert_eq!(management.queues().await.unwrap().len(), 10_000);
}

#[tokio::test]
async fn list_of_more_nodes_than_a_cluster_has_is_refused() {
    let (management, _) = fake(|path| {
        let nodes = if path.contains("long") { 65 } else { 64 };
        let names: Vec<String> = (0..nodes).map(|number| format!("rabbit@{number}")).collect();
        match path {
            "/api/nodes" => json!(names.iter().map(|name| json!({"name": name, "running": true})).collect::<Vec<_>>()),
            _ => json!({"name": "q", "members": names}),
        }
        .to_string()
    })
    .await;
    assert_eq!(management.nodes().await.unwrap().len(), 64);
    assert_eq!(management.queue("v", "short").await.unwrap().unwrap().members.len(), 64);
    let failure = management.queue("v", "long").await.unwrap_err().to_string();
    assert!(failure.contains("65 nodes are listed"), "{failure}");
    let queue = |key: &str| json!([{"name": "q", "vhost": "v", key: vec!["n"; 65]}]).to_string();
    assert!(answers::read_list::<Queue>(queue("members").as_bytes()).is_err());
    assert!(answers::read_list::<Queue>(queue("online").as_bytes()).is_err());
    let nodes = json!(vec![json!({"name": "n", "running": true}); 65]).to_string();
    assert!(answers::read::<Nodes>(nodes.as_bytes()).is_err());
}

#[tokio::test]
async fn names_that_mean_another_path_are_never_requested() {
    let (management, asked) = fake(|_| "{}".to_owned()).await;
    let queue = QueueName { virtual_host: "v".to_owned(), name: "..".to_owned() };
    assert!(management.queue("v", "..").await.is_err());
    assert!(management.queue("..", "q").await.is_err());
    assert!(management.set_user("u", "p", "..").await.is_err());
    assert!(management.create_virtual_host(".").await.is_err());
    assert!(management.delete_member(&queue, "n").await.is_err());
    assert!(management.forbid("u", "..").await.is_err());
    assert_eq!(*asked.lock().unwrap(), ["/api/users/u"]);
    management.queue("/", "a/..?b").await.unwrap();
    assert_eq!(asked.lock().unwrap()[1], "/api/queues/%2F/a%2F..%3Fb");
}

#[test]
fn hash_matches_one_password() {
    // From RabbitMQ's documentation: `rabbitmqctl hash_password test12` with the salt 908DC60A.
    let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
    assert!(is_hash_of(hash, "test12"));
    assert!(!is_hash_of(hash, "test13"));
    assert!(!is_hash_of("", "test12"));
}
