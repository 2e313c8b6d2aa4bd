//! What surrounds a literal and decides where a user sees it: the functions that take texts, and the variables that hold them.

use std::collections::BTreeMap;

use proc_macro2::TokenTree;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprCall, ExprLit, ExprMethodCall, Lit, Pat};

use super::Section;

/// Macros and methods whose texts are logged.
pub(super) const LOGS: &[&str] = &["trace", "debug", "info", "warn", "error", "event", "info_span", "debug_span"];
/// Those that make an error, or a part of one.
pub(super) const ERRORS: &[&str] = &["anyhow", "bail", "ensure", "context", "with_context"];
/// Those whose texts appear only if a program has a bug.
pub(super) const BUGS: &[&str] = &["assert", "assert_eq", "debug_assert", "panic", "unreachable", "expect", "todo"];
/// Functions that record an event.
pub(super) const EVENTS: &[&str] = &["note", "event", "publish_event", "record_event"];
/// Functions whose texts become bytes or names for programs: the content of an object, the name in a certificate.
pub(super) const CONTENT: &[&str] = &["into_bytes", "distinguish"];
/// Functions that look for a text in another one.
pub(super) const SEARCHES: &[&str] = &[
    "contains",
    "starts_with",
    "ends_with",
    "strip_prefix",
    "strip_suffix",
    "split",
    "split_once",
    "rsplit_once",
    "split_terminator",
    "find",
    "rfind",
    "trim_start_matches",
    "trim_end_matches",
    "replace",
    "matches",
    "match_indices",
];
/// Functions that declare a metric.
pub(super) const METRICS: &[&str] = &["register", "register_with_unit", "gauge"];
/// Functions of the module `process` with the first line of a program's help.
pub(super) const HELP: &[&str] = &["main", "command"];
/// The name of a constant with such a line.
pub(super) const ABOUT: &str = "ABOUT";
/// The beginning of the names of constants with texts of earlier versions.
pub(super) const FORMER: &str = "FORMERLY_";
/// Methods of a run of steps, in `xtask`; the name of a step is their first argument.
pub(super) const STEPS: &[&str] = &["run", "quiet", "note"];

/// Where users see the texts of variables, and the reason beside each.
pub(super) type Shown = BTreeMap<String, (Section, Option<String>)>;

/// The variables of a function whose texts are those of events, metrics or programs.
#[derive(Default)]
pub(super) struct Records(Shown);

impl Records {
    pub(super) fn of_function(block: &Block) -> Shown {
        let mut records = Self::default();
        records.visit_block(block);
        records.0
    }

    fn add<'a>(&mut self, section: Section, reason: Option<&str>, arguments: impl Iterator<Item = &'a Expr>) {
        let shown = || (section, reason.map(str::to_owned));
        self.0.extend(arguments.filter_map(variable).map(|name| (name, shown())));
    }
}

impl<'ast> Visit<'ast> for Records {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if is_help(call) {
            self.add(Section::Help, None, call.args.iter());
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if EVENTS.iter().any(|name| call.method == name) {
            let reason = call.args.iter().find_map(|argument| match argument {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            });
            self.add(Section::Events, reason.as_deref(), call.args.iter());
        } else if METRICS.iter().any(|name| call.method == name) {
            self.add(Section::Metrics, None, call.args.iter());
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// The name of a function that is called.
pub(super) fn called(call: &ExprCall) -> String {
    match &*call.func {
        Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Whether a function is called with the help of a program.
pub(super) fn is_help(call: &ExprCall) -> bool {
    let Expr::Path(path) = &*call.func else { return false };
    let is_process = path.path.segments.iter().rev().nth(1).is_some_and(|module| module.ident == "process");
    is_process && HELP.contains(&called(call).as_str())
}

/// Whether tokens after `#` are a doc comment.
pub(super) fn is_documentation(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else { return false };
    group.stream().into_iter().next().is_some_and(|first| first.to_string() == "doc")
}

/// The name of a variable, if an expression is nothing else.
fn variable(expression: &Expr) -> Option<String> {
    let Expr::Path(path) = expression else { return None };
    path.path.get_ident().map(ToString::to_string)
}

/// The name that a pattern binds, if it is nothing else.
pub(super) fn name_of(pattern: &Pat) -> Option<String> {
    match pattern {
        Pat::Ident(ident) => Some(ident.ident.to_string()),
        Pat::Type(typed) => name_of(&typed.pat),
        _ => None,
    }
}
