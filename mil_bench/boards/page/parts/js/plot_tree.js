// The label tree.

/** Nested lists of the tree of a board. */
function treeList(tree) {
  const root = new Map();
  for (const path of tree.paths) {
    let node = root;
    for (const name of path) {
      if (!node.has(name)) node.set(name, new Map());
      node = node.get(name);
    }
  }
  const draw = (nodes) => el("ul", {}, [...nodes].map(([name, below]) => el("li", {},
    el("span", { class: below.size ? "inner" : "leaf", title: tree.titles[name] ?? null }, name),
    below.size ? draw(below) : null)));
  return el("div", { class: "tree" }, draw(root));
}
