// Hierarchy: one level at a time, or the tree as a whole.

const OF_TREE = "tree";

VIEWS.hierarchy = {
  title: "Hierarchy",
  draw(board) {
    const table = board.tables.hierarchical;
    if (!table) return [el("p", { class: "none" }, "The label tree of this board is flat.")];
    const levels = [...board.tree.levels, OF_TREE]
      .filter((level) => ofLevel(table, level).length);
    const level = levels.includes(get("level")) ? get("level") : levels[0];
    const scores = ofLevel(table, level);
    const standing = ["tier", "rank"].filter((name) => columnIndex(table, name) >= 0);
    const usual = scores.filter((c) => table.shown.includes(c.name));
    const names = (usual.length > 1 ? usual : scores.slice(0, 9)).map((c) => c.name);
    const own = { ...table, name: `hierarchical.${level}` };
    return [
      segmented("level", "Level", levels.map((l) => [l, titleOf(board, l)]), level,
        (l) => set({ level: l })),
      forestPanel(own, `hierarchy-${level}`, scores.filter((c) => c.interval)),
      tableView(own, { columns: [...table.keys, ...standing, ...names], bands: true }),
      extraTable(board, "controls"),
      el("details", { class: "panel" }, el("summary", {}, "Label tree"), treeList(board.tree)),
    ];
  },
};

function ofLevel(table, level) {
  return table.columns.filter((c) => c.better && c.unit !== "rank"
    && !["first", "behind", "detectable", "tuning_hours"].includes(c.name)
    && (level === OF_TREE ? !c.level : c.level === level));
}

function titleOf(board, level) {
  if (level === OF_TREE) return "whole tree";
  return `${level} (${board.tree.classes[level].length})`;
}

/** A further table of the board under its own heading, if the board has it. */
function extraTable(board, name) {
  const table = board.tables[name];
  if (!table || !table.methods.length) return null;
  return el("section", {}, el("h2", {}, table.title), tableView(table));
}
