//! As much of RabbitMQ as a verification needs: every login is accepted, a queue is made for whoever asks for one, and each message of
//! a connection is confirmed and comes back.
//!
//! A frame is a type, a channel, a length, so many bytes, and `CE`; a method begins with two numbers that name it.

use std::{io, ops::Deref};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::visitors::{Visited, Visitor};

/// The types of frames.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
/// The longest frame that is read.
const LONGEST: usize = 1 << 17;
/// The name of a queue whose name is left to the broker.
const QUEUE: &[u8] = b"\x07amq.gen";

/// The running fake; it ends when this is dropped.
pub struct Rabbit(Visited);

impl Rabbit {
    /// Starts it on a free port of this machine.
    pub async fn start() -> Result<Self> {
        Ok(Self(Visited::start(serve).await?))
    }
}

impl Deref for Rabbit {
    type Target = Visited;

    fn deref(&self) -> &Visited {
        &self.0
    }
}

async fn serve(mut connection: TcpStream, visitor: Visitor) -> io::Result<()> {
    connection.read_exact(&mut [0; 8]).await?;
    connection.write_all(&method(0, b"\x00\x0a\x00\x0a\x00\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US")).await?;
    let (mut published, mut missing, mut message) = (0_u64, 0, Vec::new());
    loop {
        let (kind, channel, payload) = frame_of(&mut connection).await?;
        let answer = match kind {
            METHOD if payload.get(..4) == Some(b"\x00\x0a\x00\x0b") => {
                visitor.identify(&login(&payload).unwrap_or_default());
                method(0, b"\x00\x0a\x00\x1e\x07\xff\x00\x02\x00\x00\0\0")
            }
            METHOD => answer(channel, &payload, &message),
            HEADER => {
                missing = payload.get(4..12).and_then(|size| size.try_into().ok()).map_or(0, u64::from_be_bytes);
                message.clear();
                Vec::new()
            }
            BODY => {
                missing = missing.saturating_sub(payload.len() as u64);
                message.extend_from_slice(&payload);
                Vec::new()
            }
            _ => Vec::new(),
        };
        connection.write_all(&answer).await?;
        if (kind == HEADER || kind == BODY) && missing == 0 {
            published += 1;
            let confirm = [b"\x00\x3c\x00\x50".as_slice(), &published.to_be_bytes(), &[0]].concat();
            connection.write_all(&method(channel, &confirm)).await?;
        }
    }
}

/// The answer to a method, and with it the message that waits for a consumer.
fn answer(channel: u8, payload: &[u8], message: &[u8]) -> Vec<u8> {
    match (payload.get(1), payload.get(3)) {
        // The connection: open, close.
        (Some(10), Some(40)) => method(0, b"\x00\x0a\x00\x29\0"),
        (Some(10), Some(50)) => method(0, b"\x00\x0a\x00\x33"),
        // A channel: open, close, confirm what is published.
        (Some(20), Some(10)) => method(channel, b"\x00\x14\x00\x0b\0\0\0\0"),
        (Some(20), Some(40)) => method(channel, b"\x00\x14\x00\x29"),
        (Some(85), Some(10)) => method(channel, b"\x00\x55\x00\x0b"),
        // A queue is declared: its name, no messages, no consumers.
        (Some(50), Some(10)) => {
            let name = payload.get(6..).filter(|rest| rest.first().is_some_and(|length| *length > 0));
            let name = name.and_then(|rest| rest.get(..=usize::from(rest[0]))).unwrap_or(QUEUE);
            method(channel, &[b"\x00\x32\x00\x0b".as_slice(), name, &[0; 8]].concat())
        }
        // A consumer gets the message.
        (Some(60), Some(20)) => {
            let header = [b"\x00\x3c\0\0".as_slice(), &(message.len() as u64).to_be_bytes(), &[0, 0]].concat();
            let deliver = [b"\x00\x3c\x00\x3c\x01c".as_slice(), &1_u64.to_be_bytes(), &[0, 0, 0]].concat();
            [
                method(channel, b"\x00\x3c\x00\x15\x01c"),
                method(channel, &deliver),
                frame(HEADER, channel, &header),
                frame(BODY, channel, message),
            ]
            .concat()
        }
        _ => Vec::new(),
    }
}

/// The user in the answer to the beginning of a connection: a table, the mechanism `PLAIN`, then `\0user\0password`.
fn login(payload: &[u8]) -> Option<String> {
    let after = |rest: &[u8], width: usize| {
        let length = rest.get(..width)?.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        Some((rest.get(width..width + length)?.to_vec(), rest.get(width + length..)?.to_vec()))
    };
    let (_, rest) = after(payload.get(4..)?, 4)?;
    let (_, rest) = after(&rest, 1)?;
    let (plain, _) = after(&rest, 4)?;
    let user = plain.split(|byte| *byte == 0).nth(1)?;
    Some(String::from_utf8_lossy(user).into_owned())
}

/// The next frame: its type, its channel, its content.
async fn frame_of(connection: &mut TcpStream) -> io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 7];
    connection.read_exact(&mut head).await?;
    let length = head[3..].iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    let mut payload = vec![0; length.min(LONGEST) + 1];
    connection.read_exact(&mut payload).await?;
    payload.pop();
    Ok((head[0], head[2], payload))
}

fn method(channel: u8, payload: &[u8]) -> Vec<u8> {
    frame(METHOD, channel, payload)
}

fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    [&[kind, 0, channel], length.as_slice(), payload, &[0xce]].concat()
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use lapin::{
        BasicProperties, Connection, ConnectionProperties,
        options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
        types::FieldTable,
    };

    use super::*;

    #[tokio::test]
    async fn message_comes_back_and_the_login_is_known() {
        let fake = Rabbit::start().await.unwrap();
        let uri = format!("amqp://victim:p@{}/v", fake.address());
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let declaring = channel.queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default());
        let queue = declaring.await.unwrap().name().clone();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let publishing = channel.basic_publish("".into(), queue.as_str().into(), options, b"hello", properties);
        assert!(publishing.await.unwrap().await.unwrap().is_ack());
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await.unwrap();
        assert_eq!(consumer.next().await.unwrap().unwrap().data, b"hello");
        let named = channel.queue_declare("mine".into(), QueueDeclareOptions::default(), FieldTable::default());
        assert_eq!(named.await.unwrap().name().as_str(), "mine");
        assert_eq!(fake.asked(), 1);
        assert!(fake.others_than("victim").await.is_empty());
        assert_eq!(fake.others_than("u").await, ["victim"]);
    }
}
