//! Which tests run beside each other on one node: each says what it needs, and waits for its turn.
//!
//! ```text
//!   Needs::pods::<K>(3)      so many pods in namespaces of its own, looked after by the installed controller of K
//!   Needs::stack()           the one stack that `xtask up` has made: one such test after the other, beside the rest
//!   … .ending::<K>()         stops or replaces the installed controller of K: nobody else uses that meanwhile
//!   Needs::alone()           the whole node: after all others, by itself
//! ```
//!
//! A test runs when nothing that runs is in its way and its weight fits into what the machine bears, the heaviest first. So start
//! all tests at once (`--test-threads=100`): those that wait cost nothing. `TEMPORAL_STACK_TEST_CAPACITY` sets another capacity.

use std::{
    cmp::Reverse,
    num::NonZero,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use temporal_stack_common::api::{IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};
use tokio::{sync::Notify, time::sleep};

use crate::Subject;

/// How much a processor bears. A pod of PostgreSQL, or of Kubo and IPFS Cluster, weighs 1; one of RabbitMQ weighs 2.
const CAPACITY_OF_A_PROCESSOR: u32 = 7;
/// What a test on the stack weighs: pods of the stack that are replaced, and whatever is uploaded.
const STACK: u32 = 2;
/// How long a test that wants the node alone lets others come first, which libtest starts at the same time.
const OPENING: Duration = Duration::from_secs(2);

static SCHEDULE: Mutex<Schedule> = Mutex::new(Schedule { last: 0, running: Vec::new(), waiting: Vec::new() });
static CHANGED: Notify = Notify::const_new();

/// What a test needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    weight: u32,
    is_alone: bool,
    has_stack: bool,
    uses: Vec<&'static str>,
    ends: Vec<&'static str>,
}

impl Needs {
    /// Pods of this weight, in namespaces of the test's own, and the installed controller of their kind.
    pub fn pods<K: Subject>(weight: u32) -> Self {
        Self { weight, uses: vec![K::PROGRAM], ..Self::default() }
    }

    /// The stack, and all controllers.
    pub fn stack() -> Self {
        let all = vec![
            PostgresDatabase::PROGRAM,
            MessageQueue::PROGRAM,
            IpfsCluster::PROGRAM,
            ObjectStorage::PROGRAM,
            Mesh::PROGRAM,
            Temporal::PROGRAM,
        ];
        Self { weight: STACK, has_stack: true, uses: all, ..Self::default() }
    }

    /// All controllers, and pods of this weight, in a namespace of the test's own.
    pub fn whole(weight: u32) -> Self {
        Self { weight, has_stack: false, ..Self::stack() }
    }

    /// The node, and nobody else on it.
    pub fn alone() -> Self {
        Self { is_alone: true, ..Self::default() }
    }

    /// The same with this weight.
    #[must_use]
    pub fn weighing(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// The same, and the controller of a kind is stopped or replaced meanwhile.
    #[must_use]
    pub fn ending<K: Subject>(mut self) -> Self {
        self.ends.push(K::PROGRAM);
        self
    }

    /// Waits for the turn, which lasts until what is returned is dropped.
    pub async fn turn(self) -> Turn {
        if self.is_alone {
            sleep(OPENING).await;
        }
        // From here on: a test that ends while it waits must not keep others waiting.
        let mut turn = Turn { number: schedule().enter(self), queued: Instant::now(), began: None };
        loop {
            let mut changed = pin!(CHANGED.notified());
            changed.as_mut().enable();
            if schedule().admit(turn.number, capacity()) {
                turn.began = Some(Instant::now());
                CHANGED.notify_waiters();
                return turn;
            }
            changed.await;
        }
    }

    /// Whether both cannot run at the same time, whatever they weigh.
    fn excludes(&self, other: &Self) -> bool {
        let ends = |one: &Self, other: &Self| {
            one.ends.iter().any(|program| other.uses.contains(program) || other.ends.contains(program))
        };
        self.is_alone || other.is_alone || (self.has_stack && other.has_stack) || ends(self, other) || ends(other, self)
    }

    /// Who is asked first: those that exclude most, then the heaviest; whoever wants the node alone comes last.
    fn rank(&self) -> (u8, Reverse<u32>) {
        let rank = match self {
            Self { is_alone: true, .. } => 2,
            Self { has_stack: false, ends, .. } if ends.is_empty() => 1,
            _ => 0,
        };
        (rank, Reverse(self.weight))
    }
}

/// A test's turn; it ends when this is dropped.
#[must_use = "the turn ends when this is dropped"]
pub struct Turn {
    number: u64,
    queued: Instant,
    began: Option<Instant>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let weight = schedule().leave(self.number);
        CHANGED.notify_waiters();
        if let Some(began) = self.began {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let waited = began.duration_since(self.queued).as_secs_f64();
            println!("{test} of weight {weight} waited for its turn: {waited:.1} s");
            println!("{test} of weight {weight} ran: {:.1} s", began.elapsed().as_secs_f64());
        }
    }
}

/// Who runs and who waits, each by the number that it got when it came.
#[derive(Debug, Default)]
struct Schedule {
    last: u64,
    running: Vec<(u64, Needs)>,
    waiting: Vec<(u64, Needs)>,
}

impl Schedule {
    fn enter(&mut self, needs: Needs) -> u64 {
        self.last += 1;
        self.waiting.push((self.last, needs));
        self.last
    }

    /// Starts a test if it is its turn.
    fn admit(&mut self, number: u64, capacity: u32) -> bool {
        if !self.next(capacity).contains(&number) {
            return false;
        }
        let (admitted, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(one, _)| *one == number);
        self.waiting = waiting;
        self.running.extend::<Vec<_>>(admitted);
        true
    }

    /// Ends a test that ran or waited; returns what it weighed.
    fn leave(&mut self, number: u64) -> u32 {
        let all = self.running.iter().chain(&self.waiting);
        let weight = all.filter(|(one, _)| *one == number).map(|(_, needs)| needs.weight).sum();
        self.running.retain(|(one, _)| *one != number);
        self.waiting.retain(|(one, _)| *one != number);
        weight
    }

    /// The tests whose turn it is.
    fn next(&self, capacity: u32) -> Vec<u64> {
        let mut waiting: Vec<&(u64, Needs)> = self.waiting.iter().collect();
        waiting.sort_by_key(|(number, needs)| (needs.rank(), *number));
        let mut running: Vec<&Needs> = self.running.iter().map(|(_, needs)| needs).collect();
        // Those that end a controller wait for all that use it, so no more of these may start.
        let mut reserved: Vec<&Needs> = Vec::new();
        let mut next = Vec::new();
        for (number, needs) in waiting {
            let load: u32 = running.iter().map(|running| running.weight).sum();
            let fits = running.is_empty() || load + needs.weight <= capacity;
            let is_alone = needs.is_alone && self.waiting.iter().any(|(_, other)| !other.is_alone);
            if fits && !is_alone && !running.iter().chain(&reserved).any(|other| needs.excludes(other)) {
                running.push(needs);
                next.push(*number);
            } else if !needs.ends.is_empty() {
                reserved.push(needs);
            }
        }
        next
    }
}

fn schedule() -> MutexGuard<'static, Schedule> {
    SCHEDULE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the machine bears.
fn capacity() -> u32 {
    let asked = std::env::var("TEMPORAL_STACK_TEST_CAPACITY").ok().and_then(|capacity| capacity.parse().ok());
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    asked.unwrap_or(CAPACITY_OF_A_PROCESSOR.saturating_mul(u32::try_from(processors).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets all in, one after the other, and returns who ran at the same time at the end.
    fn running(needs: Vec<Needs>, capacity: u32) -> Vec<usize> {
        let mut schedule = Schedule::default();
        let numbers: Vec<u64> = needs.into_iter().map(|needs| schedule.enter(needs)).collect();
        while numbers.iter().any(|number| schedule.admit(*number, capacity)) {}
        let runs = |number: &u64| schedule.running.iter().any(|(one, _)| one == number);
        numbers.iter().enumerate().filter(|(_, number)| runs(number)).map(|(place, _)| place).collect()
    }

    fn nodes(weight: u32) -> Needs {
        Needs::pods::<MessageQueue>(weight)
    }

    #[test]
    fn tests_run_beside_each_other_up_to_the_capacity() {
        assert_eq!(running(vec![nodes(2), nodes(6), nodes(6), nodes(2)], 12), [1, 2]);
        assert_eq!(running(vec![nodes(2), nodes(6), nodes(2), nodes(2)], 11), [0, 1, 2]);
    }

    #[test]
    fn test_above_the_capacity_runs_by_itself() {
        assert_eq!(running(vec![nodes(2), nodes(20)], 12), [1]);
    }

    #[test]
    fn one_test_on_the_stack_runs_at_a_time() {
        assert_eq!(running(vec![Needs::stack(), Needs::stack(), nodes(2)], 12), [0, 2]);
        assert_eq!(running(vec![Needs::stack(), Needs::whole(4)], 12), [0, 1]);
    }

    #[test]
    fn ended_controller_is_used_by_no_other_test() {
        let ending = nodes(2).ending::<MessageQueue>();
        let peers = || Needs::pods::<IpfsCluster>(2);
        assert_eq!(running(vec![nodes(2), ending.clone(), Needs::stack(), peers()], 12), [1, 3]);
        let other = peers().ending::<IpfsCluster>();
        assert_eq!(running(vec![ending, other], 12), [0, 1]);
    }

    #[test]
    fn no_further_test_uses_a_controller_that_is_to_end() {
        let mut schedule = Schedule::default();
        let first = schedule.enter(nodes(2));
        assert!(schedule.admit(first, 12));
        let ending = schedule.enter(nodes(2).ending::<MessageQueue>());
        let late = schedule.enter(nodes(2));
        assert!(!schedule.admit(ending, 12) && !schedule.admit(late, 12));
        assert_eq!(schedule.leave(first), 2);
        assert!(!schedule.admit(late, 12) && schedule.admit(ending, 12));
    }

    #[test]
    fn test_that_wants_the_node_alone_comes_last() {
        let mut schedule = Schedule::default();
        let alone = [schedule.enter(Needs::alone()), schedule.enter(Needs::alone())];
        let other = schedule.enter(nodes(2));
        assert!(!schedule.admit(alone[0], 12) && schedule.admit(other, 12) && !schedule.admit(alone[0], 12));
        schedule.leave(other);
        assert!(schedule.admit(alone[0], 12) && !schedule.admit(alone[1], 12));
    }

    #[tokio::test]
    async fn turn_ends_when_it_is_dropped() {
        let first = Needs::stack().turn().await;
        let mut second = pin!(Needs::stack().turn());
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        drop(second.await);
    }
}
