use temporal_stack_common::{address::Endpoint, amqp::Window, testkit::refusing_proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::*;

/// A frame with a method on channel 0.
fn frame(method: &[u8]) -> Vec<u8> {
    [&[1, 0, 0], u32::try_from(method.len()).unwrap().to_be_bytes().as_slice(), method, &[0xce]].concat()
}

/// The method of the next frame.
async fn method(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
    let mut rest = vec![0; length + 1];
    stream.read_exact(&mut rest).await.unwrap();
    rest
}

#[tokio::test]
async fn broker_does_not_choose_the_frame_size() {
    // No limit at all, and four gigabytes.
    for frame_max in [0_u32, u32::MAX] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let access = access(listener.local_addr().unwrap().port());
        let opening = tokio::spawn(async move { Session::open(&access, ECHO).await.map(drop) });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.unwrap();
        let start = b"\x00\x0a\x00\x0a\x00\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US";
        stream.write_all(&frame(start)).await.unwrap();
        assert_eq!(method(&mut stream).await[..4], [0, 10, 0, 11]);
        let tune = [b"\x00\x0a\x00\x1e\0\0".as_slice(), &frame_max.to_be_bytes(), &[0, 0]].concat();
        stream.write_all(&frame(&tune)).await.unwrap();
        let tuned = method(&mut stream).await;
        assert_eq!(tuned[..4], [0, 10, 0, 31]);
        assert_eq!(u32::from_be_bytes(tuned[6..10].try_into().unwrap()), 128 << 10);
        opening.abort();
    }
}

/// How many threads of the library there are.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.contains("lapin")))
        .count()
}

/// A broker that begins each connection with these bytes and sends nothing more.
async fn broker(greeting: &'static [u8]) -> Access {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(greeting).await;
            held.push(stream);
        }
    });
    access(port)
}

fn access(port: u16) -> Access {
    let part = |text: &str| text.to_owned();
    let endpoint = Endpoint { host: part("127.0.0.1"), port };
    Access { endpoint, username: part("u"), password: part("p"), scope: part("/") }
}

#[tokio::test]
async fn silent_broker_keeps_no_thread() {
    let access = broker(b"").await;
    for _ in 0..3 {
        // Who does not wait any longer drops it.
        assert!(timeout(Duration::from_millis(100), Session::open(&access, ECHO)).await.is_err());
    }
    let ended = async {
        while threads() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), ended).await.expect("the library's threads have not ended");
}

#[tokio::test]
async fn connection_that_a_mesh_closes_is_refused_by_policy() {
    let failure = Session::open(&access(refusing_proxy().await), ECHO).await.map(drop).unwrap_err();
    assert!(matches!(failure, Failure::Closed { .. }), "{failure}");
    assert!(failure.to_string().contains("AuthorizationPolicy"), "{failure}");
}

#[tokio::test]
async fn garbage_from_the_broker_fails() {
    let access = broker(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(Session::open(&access, ECHO).await.is_err());
}

/// Messages of these sizes in a queue of a fake broker, which sends all of them whatever the prefetch is, and what becomes of them.
#[derive(Default)]
struct Queues {
    /// The sizes of the messages to deliver.
    from: Vec<usize>,
    /// The sizes of the published ones.
    to: Vec<usize>,
    /// How many of the delivered ones are acknowledged.
    acknowledged: u64,
}

type Shared = std::sync::Arc<std::sync::Mutex<Queues>>;

/// A frame of this kind on this channel.
fn on(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 0, channel], length.as_slice(), payload, &[0xce]].concat()
}

/// A message as it is delivered.
fn delivery(channel: u8, tag: &[u8], number: u64, size: usize) -> Vec<u8> {
    let deliver = [b"\x00\x3c\x00\x3c".as_slice(), tag, &number.to_be_bytes(), &[0, 0, 0]].concat();
    let header = [b"\x00\x3c\0\0".as_slice(), &(size as u64).to_be_bytes(), &[0, 0]].concat();
    let mut frames = [on(1, channel, &deliver), on(2, channel, &header)].concat();
    for piece in vec![b'x'; size].chunks(100_000) {
        frames.extend(on(3, channel, piece));
    }
    frames
}

/// Speaks as much of the protocol as a transfer needs.
async fn serve(stream: TcpStream, queues: Shared) -> std::io::Result<()> {
    let (mut reads, mut writes) = stream.into_split();
    let (send, mut sent) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        while let Some(frames) = sent.recv().await {
            if writes.write_all(&frames).await.is_err() {
                break;
            }
        }
    });
    let answer = |frames: Vec<u8>| drop(send.send(frames));
    reads.read_exact(&mut [0; 8]).await?;
    answer(frame(b"\x00\x0a\x00\x0a\x00\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US"));
    let (mut published, mut missing) = (0_u64, 0);
    loop {
        let mut head = [0; 7];
        reads.read_exact(&mut head).await?;
        let channel = head[2];
        let mut payload = vec![0; u32::from_be_bytes(head[3..].try_into().unwrap()) as usize + 1];
        reads.read_exact(&mut payload).await?;
        payload.pop();
        if head[0] == 2 {
            missing = u64::from_be_bytes(payload[4..12].try_into().unwrap());
            queues.lock().unwrap().to.push(usize::try_from(missing).unwrap());
        } else if head[0] == 3 {
            missing -= payload.len() as u64;
        }
        if (head[0] == 2 || head[0] == 3) && missing == 0 {
            published += 1;
            answer(on(1, channel, &[b"\x00\x3c\x00\x50".as_slice(), &published.to_be_bytes(), &[0]].concat()));
        }
        if head[0] != 1 {
            continue;
        }
        match (payload[1], payload[3]) {
            (10, 11) => answer(frame(b"\x00\x0a\x00\x1e\0\0\0\0\0\0\0\0")),
            (10, 40) => answer(frame(b"\x00\x0a\x00\x29\0")),
            (10, 50) => answer(frame(b"\x00\x0a\x00\x33")),
            (20, 10) => answer(on(1, channel, b"\x00\x14\x00\x0b\0\0\0\0")),
            (20, 40) => answer(on(1, channel, b"\x00\x14\x00\x29")),
            (85, 10) => answer(on(1, channel, b"\x00\x55\x00\x0b")),
            (60, 10) => answer(on(1, channel, b"\x00\x3c\x00\x0b")),
            (60, 20) => {
                answer(on(1, channel, b"\x00\x3c\x00\x15\x01c"));
                let sizes = queues.lock().unwrap().from.clone();
                for (number, size) in (1..).zip(sizes) {
                    answer(delivery(channel, b"\x01c", number, size));
                }
            }
            (60, 30) => answer(on(1, channel, b"\x00\x3c\x00\x1f\x01c")),
            (60, 80) => queues.lock().unwrap().acknowledged = u64::from_be_bytes(payload[4..12].try_into().unwrap()),
            _ => {}
        }
    }
}

/// Moves messages of these sizes.
async fn transfer(sizes: &[usize]) -> (Result<bool, Failure>, Shared) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let access = access(listener.local_addr().unwrap().port());
    let queues = Shared::default();
    queues.lock().unwrap().from = sizes.to_vec();
    let served = queues.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, served.clone()));
        }
    });
    let session = Session::open(&access, Window::new(WINDOW)).await.unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    (session.transfer("from", "to", until).await, queues)
}

#[tokio::test]
async fn messages_of_all_sizes_are_moved_in_order() {
    let small = [1, 0, 100, 200_000].repeat(20);
    let sizes = [small.as_slice(), &[3 << 20, 7, LARGEST, 8], &small].concat();
    let (moved, queues) = transfer(&sizes).await;
    assert!(moved.unwrap());
    let queues = queues.lock().unwrap();
    assert_eq!((queues.to.as_slice(), queues.acknowledged), (sizes.as_slice(), sizes.len() as u64));
}

#[tokio::test]
async fn oversized_message_stops_the_move_and_stays() {
    let sizes = [1, 2, LARGEST + (4 << 20), 3];
    let (moved, queues) = transfer(&sizes).await;
    let failure = moved.unwrap_err();
    assert!(matches!(&failure, Failure::TooLarge { queue } if queue == "from"), "{failure}");
    let queues = queues.lock().unwrap();
    assert_eq!((queues.to.as_slice(), queues.acknowledged), ([1, 2].as_slice(), 2));
}
