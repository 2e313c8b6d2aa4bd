//! The literals of a file that are prose, each with the place where a user sees it.

use std::collections::BTreeMap;
use std::rc::Rc;

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Block, Expr, ExprBinary, ExprCall, ExprLit, ExprMethodCall, ExprStruct, ImplItemFn, ItemConst,
    ItemFn, ItemMod, Lit, Local, Macro, Member, Pat, Token, TraitItemFn, Visibility,
};

use super::compared::Compared;
use super::context::{
    ABOUT, BUGS, CONTENT, ERRORS, EVENTS, FORMER, LOGS, METRICS, Records, SEARCHES, STEPS, Shown, called,
    is_documentation, is_help, name_of,
};
use super::{Message, Section, prose};
use crate::source::is_test;

/// All messages of a file, in a crate of this name.
pub(super) fn messages(file: &syn::File, name: &str, reasons: &BTreeMap<&str, &str>) -> Vec<(Section, Message)> {
    let mut messages = Messages {
        name,
        reasons,
        around: Vec::new(),
        shown: BTreeMap::new(),
        constants: Rc::new(Compared::of_file(file)),
        variables: Rc::default(),
        found: Vec::new(),
    };
    messages.visit_file(file);
    messages.found
}

/// The context of a literal.
#[derive(Clone, Debug, Default)]
struct Around {
    section: Option<Section>,
    /// No user sees it.
    is_internal: bool,
    reason: Option<String>,
}

struct Messages<'a> {
    name: &'a str,
    reasons: &'a BTreeMap<&'a str, &'a str>,
    around: Vec<Around>,
    /// Variables of this function with the text of an event, with its reason, or with the help of a metric or program.
    shown: Shown,
    /// The uses of names in this file.
    constants: Rc<Compared>,
    /// The uses of names in this function.
    variables: Rc<Compared>,
    found: Vec<(Section, Message)>,
}

impl Messages<'_> {
    fn take(&mut self, text: &str) {
        if !prose::is_prose(text) || self.around.iter().any(|around| around.is_internal) {
            return;
        }
        let section = self.around.iter().rev().find_map(|around| around.section).unwrap_or_else(|| self.section());
        let reason = self.around.iter().rev().find_map(|around| around.reason.clone());
        self.found.push((section, Message { reason, text: text.to_owned() }));
    }

    /// The default section of the crate's messages.
    fn section(&self) -> Section {
        match self.name {
            "bridge" => Section::Bridge,
            "xtask" => Section::Output,
            _ => Section::Conditions,
        }
    }

    fn errors(&self) -> Section {
        match self.name {
            "bridge" => Section::Bridge,
            "xtask" => Section::CommandErrors,
            _ => Section::Errors,
        }
    }

    /// The context that a macro or function of this name gives to its texts.
    fn around(&self, called: &str, arguments: &[&Expr]) -> Around {
        let is_controller = !matches!(self.name, "bridge" | "xtask");
        let section = match called {
            _ if LOGS.contains(&called) && self.name != "xtask" => Some(Section::Logs),
            _ if ERRORS.contains(&called) => Some(self.errors()),
            _ if EVENTS.contains(&called) && is_controller => Some(Section::Events),
            _ if METRICS.contains(&called) => Some(Section::Metrics),
            _ => None,
        };
        let reason = arguments.iter().find_map(|argument| self.reason(argument));
        let is_internal = [BUGS, SEARCHES, CONTENT].iter().any(|internal| internal.contains(&called))
            || self.variables.is_predicate(called);
        Around { section, is_internal, reason }
    }

    /// The word of a reason, if an expression names its constant.
    fn reason(&self, expression: &Expr) -> Option<String> {
        let Expr::Path(path) = expression else { return None };
        let last = path.path.segments.last()?.ident.to_string();
        self.reasons.get(last.as_str()).map(|word| (*word).to_owned())
    }

    /// Visits the body of a function.
    fn function(&mut self, block: &Block) {
        let shown = std::mem::replace(&mut self.shown, Records::of_function(block));
        let variables = std::mem::replace(&mut self.variables, Rc::new(Compared::of_function(block)));
        visit::visit_block(self, block);
        (self.shown, self.variables) = (shown, variables);
    }

    fn within(&mut self, around: Around, visit: impl FnOnce(&mut Self)) {
        self.around.push(around);
        visit(self);
        self.around.pop();
    }

    /// Texts among tokens that are not expressions.
    fn take_tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    tokens.next_if(is_documentation);
                }
                TokenTree::Literal(literal) => {
                    if let Lit::Str(text) = Lit::new(literal) {
                        self.take(&text.value());
                    }
                }
                TokenTree::Group(group) => self.take_tokens(group.stream()),
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Messages<'_> {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let section = if attribute.path().is_ident("error") {
            self.errors()
        } else if attribute.path().is_ident("x_kube") {
            Section::Refusals
        } else {
            return;
        };
        let Ok(list) = attribute.meta.require_list() else { return };
        let before = self.found.len();
        let around = Around { section: Some(section), ..Around::default() };
        self.within(around, |messages| messages.take_tokens(list.tokens.clone()));
        // The rules themselves are read by the API server.
        let is_rule = |text: &str| {
            let begins = ["self", "!", "has("].iter().any(|begin| text.starts_with(begin));
            begins || text.contains("self.") || text.contains("oldSelf")
        };
        let rules: Vec<_> = self.found.split_off(before);
        self.found.extend(rules.into_iter().filter(|(_, message)| !is_rule(&message.text)));
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.block);
        }
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        let name = item.ident.to_string();
        let is_local = matches!(item.vis, Visibility::Inherited);
        let is_internal = name.starts_with(FORMER) || is_local && self.constants.is_compared(&name);
        let around = Around { section: (name == ABOUT).then_some(Section::Help), is_internal, reason: None };
        if !is_test(&item.attrs) {
            self.within(around, |messages| visit::visit_item_const(messages, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        item.default.iter().for_each(|block| self.function(block));
    }

    fn visit_local(&mut self, local: &'ast Local) {
        let name = name_of(&local.pat).unwrap_or_default();
        let is_text = local.init.as_ref().is_some_and(|init| matches!(&*init.expr, Expr::Lit(_)));
        let is_internal = is_text && self.variables.is_compared(&name);
        let (section, reason) = self.shown.get(&name).cloned().unzip();
        let around = Around { section, is_internal, reason: reason.flatten() };
        self.within(around, |messages| visit::visit_local(messages, local));
    }

    fn visit_pat(&mut self, _: &'ast Pat) {
        // A pattern is only compared with.
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        let is_internal = matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_));
        self.within(Around { is_internal, ..Around::default() }, |messages| visit::visit_expr_binary(messages, binary));
    }

    fn visit_expr_lit(&mut self, literal: &'ast ExprLit) {
        if let Lit::Str(text) = &literal.lit {
            self.take(&text.value());
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let called = called(call);
        let mut around = self.around(&called, &call.args.iter().collect::<Vec<_>>());
        if is_help(call) {
            around.section = Some(Section::Help);
        }
        self.within(around, |messages| visit::visit_expr_call(messages, call));
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        // The receiver is not an argument.
        let method = call.method.to_string();
        let is_internal = CONTENT.contains(&method.as_str());
        self.within(Around { is_internal, ..Around::default() }, |messages| messages.visit_expr(&call.receiver));
        let around = self.around(&method, &call.args.iter().collect::<Vec<_>>());
        let is_step = self.name == "xtask" && STEPS.contains(&method.as_str());
        let mut arguments = call.args.iter();
        if is_step && let Some(step) = arguments.next() {
            let around = Around { section: Some(Section::Steps), ..Around::default() };
            self.within(around, |messages| messages.visit_expr(step));
        }
        self.within(around, |messages| arguments.for_each(|argument| messages.visit_expr(argument)));
    }

    fn visit_expr_struct(&mut self, expression: &'ast ExprStruct) {
        let names =
            |field: &syn::FieldValue, name: &str| matches!(&field.member, Member::Named(ident) if ident == name);
        let is_event = expression.fields.iter().any(|field| names(field, "note"));
        let reason = expression.fields.iter().find_map(|field| self.reason(&field.expr));
        let around = Around { section: is_event.then_some(Section::Events), reason, ..Around::default() };
        self.within(around, |messages| visit::visit_expr_struct(messages, expression));
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let name = called.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        let parsed = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(called.tokens.clone());
        let Ok(arguments) = parsed else {
            let around = self.around(&name, &[]);
            return self.within(around, |messages| messages.take_tokens(called.tokens.clone()));
        };
        let around = self.around(&name, &arguments.iter().collect::<Vec<_>>());
        // The tokens were parsed here, so the visit cannot borrow from the file.
        let mut inner = Messages {
            name: self.name,
            reasons: self.reasons,
            around: self.around.clone(),
            shown: self.shown.clone(),
            constants: Rc::clone(&self.constants),
            variables: Rc::clone(&self.variables),
            found: Vec::new(),
        };
        inner.around.push(around);
        arguments.iter().for_each(|argument| inner.visit_expr(argument));
        self.found.extend(inner.found);
    }
}

#[cfg(test)]
mod tests;
