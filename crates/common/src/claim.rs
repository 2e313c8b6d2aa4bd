//! For which object of a namespace a ConfigMap or Secret of a default name counts.
//!
//! A default name is nobody's in particular, and what it names may be a login and a password: two objects that read it would have
//! the same ones without a word. So it counts for one object, the oldest of its kind in the namespace that names no other
//! source; all others say that they do not use it. An object that names the source in its spec reads it whatever its age.
//!
//! Who has it, keeps it, and who has done without it, goes on without it:
//!
//! * Where the object that has it is deleted, no other one takes its database and login over. The next one that is *made* may.
//! * Two objects that both read it, because an earlier version of the controller let them, keep what they have, and say so.
//!
//! What an object has done so far is in its condition `ConfigHonoured`. Of objects that have none the one that was made first
//! comes first, by the second and then by the resource version.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use kube::{Resource, ResourceExt, core::object::HasStatus};

use crate::{
    api::Status,
    component::Component,
    condition::{self, CONFIG_HONOURED},
};

/// Which ConfigMap or Secret an object reads its configuration from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration<'a> {
    /// Its spec names none: the one of the default name.
    Default,
    /// Its spec names this one.
    Named(&'a str),
    /// None, for instance because its product runs elsewhere.
    Nothing,
}

/// Whether an object may read the source of the default name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It counts for this object.
    Ours,
    /// It counts for that one, and this one has always read it too.
    Shared(String),
    /// It counts for that one, or did.
    Theirs(Option<String>),
}

/// What is said, and read again in the next pass.
const NOT_USED: &str = " is not used: it belongs to ";

impl Claim {
    /// Whether the source may be read.
    pub fn is_readable(&self) -> bool {
        !matches!(self, Self::Theirs(_))
    }

    /// The remark about the source `ConfigMap/<name>` or `Secret/<name>`, if there is one to make. `remedy` is how to use another one.
    pub fn remark(&self, source: &str, remedy: &str) -> Option<String> {
        match self {
            Self::Ours => None,
            Self::Shared(holder) => Some(format!("the same values configure {holder}, which is older; {remedy}")),
            Self::Theirs(holder) => {
                let holder = holder.as_deref().unwrap_or("an object that was deleted");
                Some(format!("{source}{NOT_USED}{holder}; {remedy}"))
            }
        }
    }
}

/// What an object has done with the source so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Reads,
    DoesWithout,
    Unknown,
}

/// An object that may read the source.
#[derive(Clone, Debug)]
struct Contender {
    uid: String,
    title: String,
    made: Option<Timestamp>,
    version: Option<u64>,
    past: Past,
}

impl Contender {
    fn order(&self) -> (Option<Timestamp>, bool, Option<u64>, &str) {
        (self.made, self.past != Past::Reads, self.version, &self.title)
    }
}

/// The claim of an object, among the objects of its kind in its namespace.
pub(crate) fn claim<'a, C: Component>(object: &C::Kind, others: impl Iterator<Item = &'a C::Kind>) -> Claim {
    let Some((kind, name)) = C::sources().default_source() else { return Claim::Ours };
    if C::configuration(object) != Configuration::Default {
        return Claim::Ours;
    }
    let source = format!("{kind}/{name}");
    let contends = |one: &&C::Kind| match C::configuration(one) {
        Configuration::Default => true,
        Configuration::Named(other) => other == name,
        Configuration::Nothing => false,
    };
    let others: Vec<Contender> = others.filter(contends).map(|one| contender::<C>(one, &source)).collect();
    judge(&contender::<C>(object, &source), &others)
}

fn contender<C: Component>(object: &C::Kind, source: &str) -> Contender {
    let conditions = object.status().map(Status::conditions).unwrap_or_default();
    Contender {
        uid: object.uid().unwrap_or_default(),
        title: format!("{}/{}", C::Kind::kind(&()), object.name_any()),
        made: object.meta().creation_timestamp.as_ref().map(|time| time.0),
        version: object.resource_version().and_then(|version| version.parse().ok()),
        past: past(conditions, source),
    }
}

fn judge(object: &Contender, all: &[Contender]) -> Claim {
    let others = || all.iter().filter(|other| other.uid != object.uid && other.past != Past::DoesWithout);
    let reads = || others().filter(|other| other.past == Past::Reads);
    let first = |one: Option<&Contender>| one.map(|one| one.title.clone());
    let oldest_reader = || reads().min_by(|one, other| one.order().cmp(&other.order()));
    let oldest = || others().min_by(|one, other| one.order().cmp(&other.order()));
    match object.past {
        Past::DoesWithout => Claim::Theirs(first(oldest_reader().or_else(oldest))),
        Past::Reads => match oldest_reader().filter(|other| other.order() < object.order()) {
            Some(holder) => Claim::Shared(holder.title.clone()),
            None => Claim::Ours,
        },
        Past::Unknown => match oldest_reader().or_else(|| oldest().filter(|other| other.order() < object.order())) {
            Some(holder) => Claim::Theirs(Some(holder.title.clone())),
            None => Claim::Ours,
        },
    }
}

/// Reads what the last pass has said: [`Claim::remark`], and what [`config`](crate::config) says of a source.
fn past(conditions: &[Condition], source: &str) -> Past {
    let Some(honoured) = condition::find(conditions, CONFIG_HONOURED) else { return Past::Unknown };
    let says = |beginning: &str| honoured.message.split("; ").any(|sentence| sentence.starts_with(beginning));
    let without = format!("{source}{NOT_USED}");
    if says(&without) || honoured.message.starts_with(&format!("{source}: {without}")) {
        Past::DoesWithout
    } else if says(&format!("{source}: ")) || says(&format!("{source} was taken")) {
        Past::Reads
    } else {
        Past::Unknown
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::{
        condition::{Statement, dated, reason},
        config::Reading,
    };

    const SOURCE: &str = "ConfigMap/postgres-config";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn one(title: &str, made: i64, version: u64, past: Past) -> Contender {
        Contender { uid: title.to_owned(), title: title.to_owned(), made: Some(at(made)), version: Some(version), past }
    }

    fn theirs(title: &str) -> Claim {
        Claim::Theirs(Some(title.to_owned()))
    }

    #[test]
    fn of_two_new_objects_the_older_has_it_and_only_that_one() {
        let (users, orders) = (one("users", 1, 10, Past::Unknown), one("orders", 2, 11, Past::Unknown));
        let all = [users.clone(), orders.clone()];
        assert_eq!((judge(&users, &all), judge(&orders, &all)), (Claim::Ours, theirs("users")));
    }

    #[test]
    fn of_two_of_one_second_the_one_that_was_made_first_has_it() {
        let (users, orders) = (one("users", 1, 10, Past::Unknown), one("orders", 1, 11, Past::Unknown));
        let all = [orders.clone(), users.clone()];
        assert_eq!((judge(&users, &all), judge(&orders, &all)), (Claim::Ours, theirs("users")));
        // The status of the first one has been written meanwhile, with a newer version.
        let (users, orders) = (one("users", 1, 30, Past::Reads), one("orders", 1, 11, Past::Unknown));
        let all = [orders.clone(), users.clone()];
        assert_eq!((judge(&users, &all), judge(&orders, &all)), (Claim::Ours, theirs("users")));
    }

    #[test]
    fn after_the_oldest_is_deleted_nobody_takes_it_over() {
        let orders = one("orders", 2, 11, Past::DoesWithout);
        assert_eq!(judge(&orders, std::slice::from_ref(&orders)), Claim::Theirs(None));
        let remade = one("users", 3, 20, Past::Unknown);
        let all = [orders.clone(), remade.clone()];
        assert_eq!((judge(&remade, &all), judge(&orders, &all)), (Claim::Ours, theirs("users")));
    }

    #[test]
    fn two_that_both_read_it_keep_it_and_the_younger_says_so() {
        let (users, orders) = (one("users", 1, 10, Past::Reads), one("orders", 2, 11, Past::Reads));
        let all = [users.clone(), orders.clone()];
        assert_eq!((judge(&users, &all), judge(&orders, &all)), (Claim::Ours, Claim::Shared("users".to_owned())));
    }

    #[test]
    fn one_that_reads_it_keeps_it_from_an_older_one_that_never_did() {
        let (older, reader) = (one("older", 1, 10, Past::Unknown), one("reader", 2, 11, Past::Reads));
        let all = [older.clone(), reader.clone()];
        assert_eq!((judge(&older, &all), judge(&reader, &all)), (theirs("reader"), Claim::Ours));
    }

    fn past_of(statement: Statement) -> Past {
        past(&dated(vec![statement], &[], None, Time(at(0)).0), SOURCE)
    }

    #[test]
    fn the_condition_says_what_an_object_has_done_so_far() {
        let reading = Reading::default();
        assert_eq!(past_of(reading.statement(SOURCE)), Past::Reads);
        for claim in [Claim::Shared("X/users".to_owned()), theirs("X/users"), Claim::Theirs(None)] {
            let adapted = claim.remark(SOURCE, "name another").into_iter().collect();
            let reading = Reading { adapted, ..Reading::default() };
            let expected = if claim.is_readable() { Past::Reads } else { Past::DoesWithout };
            assert_eq!(past_of(reading.statement(SOURCE)), expected, "{claim:?}");
        }
        let absent = format!("there is no {SOURCE}; the defaults are taken");
        assert_eq!(past_of(Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, absent)), Past::Unknown);
        let external = format!("Secret/x: not used, because Secret/x describes the server: {SOURCE}");
        assert_eq!(past_of(Statement::holds(CONFIG_HONOURED, reason::ADAPTED, external)), Past::Unknown);
    }
}
