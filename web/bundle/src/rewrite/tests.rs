use wasm_encoder::{
    ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, ImportSection, RefType,
    TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{ElementItems, Operator};

use super::*;

/// A module of an imported function and three own ones. Own function `i` has type `i`, returns its number plus 10 times
/// that of its callee, and the last one calls the import. The export and the table name own function 2.
fn module() -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    imports.import("host", "zero", EntityType::Function(0));
    for (own, callee) in [2, 3, 0].into_iter().enumerate() {
        types.ty().function(vec![ValType::I32; own], [ValType::I32]);
        functions.function(own as u32);
        let mut body = Function::new([]);
        for argument in 1..callee {
            body.instructions().i32_const(argument as i32);
        }
        body.instructions().call(callee).i32_const(own as i32).i32_add().end();
        code.function(&body);
    }
    let mut tables = TableSection::new();
    let mut exports = ExportSection::new();
    let mut elements = ElementSection::new();
    let table_type =
        TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: None, shared: false };
    tables.table(table_type);
    exports.export("last", ExportKind::Func, 3);
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(vec![3].into()));
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&exports);
    module.section(&elements).section(&code);
    module.finish()
}

/// The type and the callees of each of a module's own functions; then its exports and its table.
#[derive(Default, Debug, PartialEq)]
struct Facts {
    types: Vec<u32>,
    callees: Vec<Vec<u32>>,
    exported: Vec<u32>,
    in_table: Vec<u32>,
}

fn facts(module: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("the module is well formed") {
            Payload::FunctionSection(section) => facts.types = section.into_iter().map(Result::unwrap).collect(),
            Payload::ExportSection(section) => {
                facts.exported = section.into_iter().map(|export| export.unwrap().index).collect();
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let ElementItems::Functions(functions) = element.unwrap().items else { panic!("functions only") };
                    facts.in_table = functions.into_iter().map(Result::unwrap).collect();
                }
            }
            Payload::CodeSectionEntry(body) => {
                let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
                let called = operators.filter_map(|operator| match operator {
                    Operator::Call { function_index } => Some(function_index),
                    _ => None,
                });
                facts.callees.push(called.collect());
            }
            _ => {}
        }
    }
    facts
}

#[test]
fn all_references_follow_a_function_to_its_new_place() {
    let (before, order) = (module(), vec![2, 0, 1]);
    assert_eq!(
        facts(&before),
        Facts { types: vec![0, 1, 2], callees: vec![vec![2], vec![3], vec![0]], exported: vec![3], in_table: vec![3] }
    );
    // Own functions 0, 1, 2 with the indices 1, 2, 3 get the indices 2, 3, 1. The import stays 0.
    assert_eq!(
        facts(&reordered(&before, order).unwrap()),
        Facts { types: vec![2, 0, 1], callees: vec![vec![0], vec![3], vec![1]], exported: vec![1], in_table: vec![1] }
    );
}

#[test]
fn the_same_order_changes_nothing() {
    let before = module();
    assert_eq!(reordered(&before, vec![0, 1, 2]).unwrap(), before);
}
