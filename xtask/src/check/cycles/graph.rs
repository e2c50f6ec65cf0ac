//! Strongly connected components of a small graph.

use std::collections::BTreeSet;

/// For each node the nodes it has edges to.
pub(super) type Edges = Vec<BTreeSet<usize>>;

/// Every set of two or more nodes that can all reach each other.
pub(super) fn cycles(edges: &Edges) -> Vec<Vec<usize>> {
    let reachable: Vec<BTreeSet<usize>> = (0..edges.len()).map(|node| reachable(edges, node)).collect();
    let mut cycles = Vec::new();
    let mut seen = BTreeSet::new();
    for node in 0..edges.len() {
        let together: Vec<usize> =
            reachable[node].iter().copied().filter(|other| reachable[*other].contains(&node)).collect();
        if together.len() > 1 && seen.insert(together.clone()) {
            cycles.push(together);
        }
    }
    cycles
}

/// All nodes that can be reached from this one.
fn reachable(edges: &Edges, node: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![node];
    while let Some(next) = open.pop() {
        open.extend(edges[next].iter().copied().filter(|node| reached.insert(*node)));
    }
    reached
}
