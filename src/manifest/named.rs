//! Which files documents name, before anything is known of what they mean: whoever reads a repository reads only those.

use std::collections::BTreeSet;

use super::Files;
use crate::text::tree::{self, Kind, Node};

/// Bytes of a path, as many as a system takes.
const MOST_NAME: usize = 4096;

/// Keys and values of all documents, which are in memory together: forty for each of ten thousand applications, and some
/// 100 bytes each.
pub const MOST_NODES: usize = 400_000;

/// Whether a file is read for the documents that may be in it.
pub fn is_document(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml"))
}

/// Whether a text names the version of our documents.
pub fn is_of_this_program(text: &str) -> bool {
    text.contains("trueup.dev/")
}

/// What documents need beside themselves.
#[derive(Debug, Default)]
pub struct Needs {
    /// Files that they name.
    pub files: BTreeSet<String>,
    /// Documents that are too much with all those before them.
    pub beyond: Vec<String>,
    nodes: usize,
}

/// The paths that `is_there` knows among all text of our documents, taken as a path beside its file. This asks for
/// more than is used, and never for less: no key has to be known here.
pub fn needs(files: &Files, is_there: &dyn Fn(&str) -> bool) -> Needs {
    let mut needs = Needs::default();
    let texts = files.iter().filter_map(|(path, text)| Some((path, text.as_ref().ok()?)));
    for (path, text) in texts.filter(|(path, text)| is_document(path) && is_of_this_program(text)) {
        let documents = tree::documents(text).unwrap_or_default();
        let nodes: usize = documents.iter().map(count).sum();
        if needs.nodes + nodes > MOST_NODES {
            needs.beyond.push(path.clone());
            continue;
        }
        needs.nodes += nodes;
        for document in &documents {
            collect(document, path, is_there, &mut needs.files);
        }
    }
    needs
}

/// Keys and values. The depth of a document is bounded where it is parsed.
fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, node)| 1 + count(node)).sum::<usize>(),
    }
}

fn collect(node: &Node, file: &str, is_there: &dyn Fn(&str) -> bool, named: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Scalar { text, .. } if text.len() <= MOST_NAME => {
            named.extend(path_beside(file, text).filter(|path| is_there(path)));
        }
        Kind::Scalar { .. } => {}
        Kind::List(items) => items.iter().for_each(|item| collect(item, file, is_there, named)),
        Kind::Map(entries) => entries.iter().for_each(|(_, node)| collect(node, file, is_there, named)),
    }
}

/// The path of a file named next to another; `None` if it leaves the repository.
pub(super) fn path_beside(file: &str, name: &str) -> Option<String> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if name.starts_with('/') {
        return None;
    }
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_documents_name_are_asked_for() {
        let document = "apiVersion: trueup.dev/v1\nspec:\n  taskDefinition: ../a/taskdef.json\n  values: {X: other.json}\n  strategy: {codeDeploy: {appSpec: nothing.json}}\n  after: [list.json]\n  source: ../../outside.json\n";
        let files = Files::from([
            ("b/one.yaml".to_owned(), Ok(document.to_owned())),
            ("b/two.yaml".to_owned(), Ok("x: foreign.json\n".to_owned())),
            ("b/three.txt".to_owned(), Ok(document.replace("list", "text"))),
            ("b/four.yaml".to_owned(), Err("it is a symbolic link".to_owned())),
        ]);
        let needs = needs(&files, &|path| path.contains(".json") && path != "b/nothing.json");
        let expected = ["a/taskdef.json", "b/list.json", "b/other.json"];
        assert_eq!(needs.files, expected.map(str::to_owned).into());
        assert_eq!(needs.beyond, [""; 0]);
    }

    #[test]
    fn documents_that_are_too_much_together_are_named() {
        let document = format!("apiVersion: trueup.dev/v1\nx: [{}]\n", "1,".repeat(18_000));
        let name = |number: usize| format!("{number:03}.yaml");
        let files: Files = (0..24).map(|number| (name(number), Ok(document.clone()))).collect();
        let needs = needs(&files, &|_| false);
        assert_eq!(needs.beyond, [name(22), name(23)]);
    }
}
