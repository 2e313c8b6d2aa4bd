//! Names whose texts are only compared with others: constants, variables, and the closures that compare.

use std::collections::{BTreeMap, BTreeSet};

use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, ExprMethodCall, ExprPath, Local, Macro, Pat, Stmt, Token};

use super::context::{SEARCHES, name_of};

/// Methods that compare, and return whether.
const PREDICATES: &[&str] = &["contains", "starts_with", "ends_with"];

/// The names of a file or function that are used, and how.
#[derive(Default)]
pub(super) struct Compared {
    /// How often each name is used, and how often of these as a text to compare with.
    uses: BTreeMap<String, (usize, usize)>,
    /// The closures that only compare.
    predicates: BTreeSet<String>,
    /// Whether the visit is within a comparison.
    is_within: bool,
}

impl Compared {
    pub(super) fn of_file(file: &syn::File) -> Self {
        let mut compared = Self::default();
        compared.visit_file(file);
        compared
    }

    pub(super) fn of_function(block: &Block) -> Self {
        let mut compared = Self::default();
        compared.visit_block(block);
        compared
    }

    /// Whether a constant or variable is used, and only compared with.
    pub(super) fn is_compared(&self, name: &str) -> bool {
        self.uses.get(name).is_some_and(|(all, compared)| all == compared)
    }

    /// Whether a variable is a closure that only compares its arguments.
    pub(super) fn is_predicate(&self, name: &str) -> bool {
        self.predicates.contains(name)
    }

    fn count(&mut self, name: &str) {
        let (all, compared) = self.uses.entry(name.to_owned()).or_default();
        *all += 1;
        *compared += usize::from(self.is_within);
    }

    fn within(&mut self, is_compared: bool, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.is_within, is_compared);
        visit(self);
        self.is_within = outer;
    }
}

impl<'ast> Visit<'ast> for Compared {
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if let Some(name) = path.path.get_ident() {
            self.count(&name.to_string());
        }
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let (Some(name), Some(init)) = (name_of(&local.pat), &local.init)
            && let Expr::Closure(closure) = &*init.expr
            && is_predicate(&closure.body)
        {
            self.predicates.insert(name);
        }
        visit::visit_local(self, local);
    }

    fn visit_pat(&mut self, _: &'ast Pat) {
        // A pattern is only compared with.
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let is_length = call.method == "len";
        let compares = |argument: &Expr| matches!(argument, Expr::Closure(closure) if searches(&closure.body));
        let is_list = call.args.iter().any(compares);
        let is_compared = self.is_within || is_length || is_list;
        self.within(is_compared, |compared| compared.visit_expr(&call.receiver));
        let is_search = SEARCHES.iter().any(|search| call.method == search);
        let is_compared = self.is_within || is_search;
        self.within(is_compared, |compared| call.args.iter().for_each(|argument| compared.visit_expr(argument)));
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let parsed = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(called.tokens.clone());
        let text = called.tokens.to_string();
        // Names in braces are arguments, too.
        let names = text.split('{').skip(1).filter_map(|rest| rest.split(['}', ':']).next());
        names.for_each(|name| self.count(name));
        for argument in parsed.iter().flatten() {
            let mut inner = Self::default();
            inner.visit_expr(argument);
            for (name, (all, compared)) in inner.uses {
                let uses = self.uses.entry(name).or_default();
                *uses = (uses.0 + all, uses.1 + compared);
            }
        }
    }
}

/// Whether an expression only returns the result of a comparison.
fn is_predicate(expression: &Expr) -> bool {
    match expression {
        Expr::MethodCall(call) if call.method == "any" || call.method == "all" => {
            call.args.iter().any(|argument| matches!(argument, Expr::Closure(closure) if is_predicate(&closure.body)))
        }
        Expr::MethodCall(call) => PREDICATES.iter().any(|name| call.method == name),
        Expr::Unary(unary) => is_predicate(&unary.expr),
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) => {
            is_predicate(&binary.left) && is_predicate(&binary.right)
        }
        Expr::Block(block) => {
            matches!(&block.block.stmts[..], [Stmt::Expr(expression, None)] if is_predicate(expression))
        }
        _ => false,
    }
}

/// Whether an expression is a search, maybe behind others.
fn searches(expression: &Expr) -> bool {
    match expression {
        Expr::MethodCall(call) => SEARCHES.iter().any(|search| call.method == search) || searches(&call.receiver),
        _ => is_predicate(expression),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_compared_if_no_use_shows_it() {
        let file = syn::parse_str(
            "fn a(text: &str) -> String {
                SEVERE.iter().filter_map(|word| text.find(word)).min(); text.split_once(PREFIX); text.get(PREFIX.len()..);
                if text.contains(SHOWN) { return format!(\"it is {SHOWN}\"); } OTHER.to_owned() }",
        );
        let compared = Compared::of_file(&file.unwrap());
        let names = ["SEVERE", "PREFIX", "SHOWN", "OTHER", "UNUSED"];
        assert_eq!(names.map(|name| compared.is_compared(name)), [true, true, false, false, false]);
    }

    #[test]
    fn closure_that_returns_a_comparison_is_a_predicate() {
        let block = syn::parse_str(
            "{ let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
               let lacks = |part: &str| !words.starts_with(part) || words.ends_with(part);
               let told = |what: &str| format!(\"{what} is dark\"); }",
        );
        let compared = Compared::of_function(&block.unwrap());
        assert_eq!(["has", "lacks", "told"].map(|name| compared.is_predicate(name)), [true, true, false]);
    }
}
