//! The command line, as Go's `flag` package reads it.

use crate::stop::Stop;

/// What the flags say; they come before the subcommand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "these are switches")]
pub(crate) struct Flags {
    /// `-dev`: no rate limit to speak of, no redirect to https, no fallback krab.
    pub(crate) dev: bool,
    /// `-debug`: accepted.
    pub(crate) debug: bool,
    /// `-config`: a file instead of the environment; `CONFIG_DAG` by default.
    pub(crate) config: String,
    /// `-db.no_ssl`: for `migrate`, `user` and `admin` only.
    pub(crate) no_ssl: bool,
    /// `-db.migrate`: `user` and `admin` migrate first.
    pub(crate) migrate: bool,
    /// `-api.port`, where nothing in the configuration says it.
    pub(crate) port: String,
}

/// Splits the arguments into flags and the words from the first that is no flag on.
pub(crate) fn parse(arguments: &[String], config_dag: String) -> Result<(Flags, &[String]), Stop> {
    let port = "6767".to_owned();
    let mut flags = Flags { dev: false, debug: false, config: config_dag, no_ssl: false, migrate: false, port };
    let mut rest = arguments;
    while let Some((argument, after)) = rest.split_first() {
        let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) else { break };
        rest = after;
        if flag == "-" {
            break;
        }
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        if flag.starts_with(['-', '=']) {
            return Err(usage(&format!("bad flag syntax: {argument}")));
        }
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        let switch = match name {
            "dev" => &mut flags.dev,
            "debug" => &mut flags.debug,
            "db.no_ssl" => &mut flags.no_ssl,
            "db.migrate" => &mut flags.migrate,
            "config" => {
                flags.config = text(name, value, &mut rest)?;
                continue;
            }
            "api.port" => {
                flags.port = text(name, value, &mut rest)?;
                continue;
            }
            "h" | "help" => return Err(usage("")),
            _ => return Err(usage(&format!("flag provided but not defined: -{name}"))),
        };
        *switch = match value.unwrap_or("true") {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            other => return Err(usage(&format!("invalid boolean value {other:?} for -{name}: parse error"))),
        };
    }
    Ok((flags, rest))
}

fn text(name: &str, value: Option<&str>, rest: &mut &[String]) -> Result<String, Stop> {
    if let Some(value) = value {
        return Ok(value.to_owned());
    }
    let (value, after) = rest.split_first().ok_or_else(|| usage(&format!("flag needs an argument: -{name}")))?;
    *rest = after;
    Ok(value.clone())
}

fn usage(said: &str) -> Stop {
    Stop {
        code: 2,
        said: format!("{said}\nUsage: -api.port -config -db.migrate -db.no_ssl -debug -dev").trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split(' ').map(|word| if word == "''" { String::new() } else { word.to_owned() }).collect()
    }

    fn parsed(line: &str) -> (Flags, Vec<String>) {
        let arguments = arguments(line);
        let (flags, words) = parse(&arguments, "/dag.json".to_owned()).unwrap();
        (flags, words.to_vec())
    }

    #[test]
    fn one_dash_and_two_mean_the_same() {
        for line in ["-dev -api.port 80 api", "--dev --api.port=80 api", "-dev=true -api.port=80 api"] {
            let (flags, words) = parsed(line);
            assert!(flags.dev && !flags.debug, "{line}");
            assert_eq!((flags.port.as_str(), words), ("80", arguments("api")), "{line}");
        }
    }

    #[test]
    fn flags_after_the_subcommand_are_words_of_it() {
        let (flags, words) = parsed("migrate -db.no_ssl");
        assert!(!flags.no_ssl);
        assert_eq!(words, arguments("migrate -db.no_ssl"));
    }

    #[test]
    fn explicit_config_wins_over_the_environment_even_if_empty() {
        assert_eq!(parsed("api").0.config, "/dag.json");
        assert_eq!(parsed("-config '' api"), parsed("-config= api"));
        assert_eq!(parsed("-config '' api").0.config, "");
        // As in an image: the last one wins.
        assert_eq!(parsed("-config /a.json -config '' api").0.config, "");
    }

    #[test]
    fn what_go_refuses_exits_with_2() {
        for line in ["-unknown api", "---dev api", "-=x api", "-config", "-dev=yes api", "-help"] {
            assert_eq!(parse(&arguments(line), String::new()).unwrap_err().code, 2, "{line}");
        }
    }
}
