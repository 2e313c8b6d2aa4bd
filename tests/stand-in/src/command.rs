//! The subcommands.

use std::env;

use crate::arguments::{self, Flags};
use crate::config::Config;
use crate::database::Database;
use crate::database::source::Encryption;
use crate::signal::unless_terminated;
use crate::stop::Stop;
use crate::worker::Kind;
use crate::{VERSION, api, krab, worker};

const HELP: &str = "A stand-in for Temporal: it keeps Temporal's contract for tests, and is not Temporal.

USAGE:

  temporal [OPTIONS] [COMMAND]

COMMANDS:

  api      start Temporal api server
  help     show help text
  init     initialize blank Temporal configuration
  krab     runs the krab service
  migrate  run database migrations
  queue    execute commands for various queues: ipfs {ipns-entry|pin|key-creation|cluster}, email-send
  version  show Temporal version";

/// What the configuration looks like when it says nothing.
const BLANK: &str = "{\"api\": {\"connection\": {\"cors\": {\"allowed_origins\": [\"temporal.cloud\", \
    \"backup.temporal.cloud\"]}}}, \"log_dir\": \"/var/log/temporal/\"}\n";

/// A subcommand that needs the configuration.
#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Help,
    Api,
    Queue(Kind),
    Krab,
    Migrate,
    User { name: &'a str, password: &'a str, email: &'a str },
    Admin { name: &'a str },
}

/// Runs the program.
pub(crate) async fn run(arguments: &[String]) -> Result<(), Stop> {
    if arguments.is_empty() {
        println!("{HELP}");
        return Ok(());
    }
    let (flags, words) = arguments::parse(arguments, env::var("CONFIG_DAG").unwrap_or_default())?;
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => return Err(Stop::panic("runtime error: index out of range [0] with length 0")),
        ["help", ..] => {
            println!("{HELP}");
            return Ok(());
        }
        ["version", ..] => {
            println!("Temporal {VERSION}");
            return Ok(());
        }
        ["init", ..] => return init(&flags.config),
        _ => {}
    }
    let config = Config::load(&flags.config)
        .map_err(|cause| Stop::exit(format!("failed to load config at {}\n{cause}", flags.config)))?;
    let command =
        find(words).ok_or_else(|| Stop::exit(format!("invalid invocation for 'temporal {}'", words.join(" "))))?;
    match command {
        Command::Help => println!("{HELP}"),
        Command::Api => api::run(config, &flags).await?,
        Command::Queue(kind) => worker::run(config, &flags, kind).await?,
        Command::Krab => unless_terminated(krab::run(&config)).await?,
        Command::Migrate => unless_terminated(migrate(&config, &flags)).await?,
        Command::User { name, password, email } => {
            println!("creating user '{name}' ({email})...");
            unless_terminated(user(&config, &flags, name, password, email)).await?;
        }
        Command::Admin { name } => unless_terminated(admin(&config, &flags, name)).await?,
    }
    Ok(())
}

fn find(words: &[String]) -> Option<Command<'_>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["api", ..] => Some(Command::Api),
        ["queue"] | ["queue", "ipfs"] => Some(Command::Help),
        ["queue", "ipfs", "ipns-entry", ..] => Some(Command::Queue(Kind::Names)),
        ["queue", "ipfs", "pin", ..] => Some(Command::Queue(Kind::Pins)),
        ["queue", "ipfs", "key-creation", ..] => Some(Command::Queue(Kind::Keys)),
        ["queue", "ipfs", "cluster", ..] => Some(Command::Queue(Kind::Cluster)),
        ["queue", "email-send", ..] => Some(Command::Queue(Kind::Mail)),
        ["krab", ..] => Some(Command::Krab),
        ["migrate", ..] => Some(Command::Migrate),
        ["user", name, password, email] => Some(Command::User { name, password, email }),
        ["admin", name] => Some(Command::Admin { name }),
        _ => None,
    }
}

fn init(path: &str) -> Result<(), Stop> {
    eprintln!("generating config at {path}");
    std::fs::write(path, BLANK).map_err(|error| Stop::caused("failed to generate default config template", error))
}

/// Opens the database as one-shot commands do: with TLS or, when told so, without, and never the other way.
async fn open(config: &Config, flags: &Flags, said: &str) -> Result<Database, Stop> {
    let encryption = if flags.no_ssl { Encryption::Disabled } else { Encryption::AsConfigured };
    Database::open(config, encryption).await.map_err(|error| Stop::caused(said, error))
}

async fn migrate(config: &Config, flags: &Flags) -> Result<(), Stop> {
    open(config, flags, "failed to perform secure migration").await?.migrate().await;
    Ok(())
}

async fn user(config: &Config, flags: &Flags, name: &str, password: &str, email: &str) -> Result<(), Stop> {
    let database = open(config, flags, "failed to initialize database connection").await?;
    if flags.migrate {
        database.migrate().await;
    }
    let failed = |said: &'static str| move |error| Stop::caused(said, error);
    database.new_account(name, password, email).await.map_err(failed("failed to create user account"))?;
    database.set_free_tier(name).await.map_err(failed("failed to update user account tier"))?;
    database.add_credits(name, 99_999_999.0).await.map_err(failed("failed to grant credits to user account"))?;
    database.verify_email(name).await.map_err(failed("failed to activate email"))
}

async fn admin(config: &Config, flags: &Flags, name: &str) -> Result<(), Stop> {
    if name.is_empty() {
        return Err(Stop::exit("dbAdmin flag not provided"));
    }
    let database = open(config, flags, "failed to initialize database").await?;
    if flags.migrate {
        database.migrate().await;
    }
    database.toggle_admin(name).await.map_err(|error| Stop::caused("failed to tag user as admin", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn subcommands_are_those_of_the_original() {
        let queues = [
            "queue ipfs ipns-entry",
            "queue ipfs pin",
            "queue ipfs key-creation",
            "queue ipfs cluster",
            "queue email-send",
        ];
        for line in ["api", "krab", "krab server", "migrate", "user a b c", "admin a"].iter().chain(&queues) {
            assert!(find(&words(line)).is_some(), "{line}");
        }
        for line in
            ["bucket", "lens", "queue nothing", "queue ipfs nothing", "user a b", "user a b c d", "admin", "Api"]
        {
            assert_eq!(find(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn queue_without_a_name_is_help_and_no_error() {
        assert_eq!(find(&words("queue")), Some(Command::Help));
        assert_eq!(find(&words("queue ipfs")), Some(Command::Help));
    }
}
