// Overall: intervals of one score as a forest, then every score of the leaves.

VIEWS.overall = {
  title: "Overall",
  draw(board) {
    const table = board.tables.overall;
    if (!table) return [el("p", { class: "none" }, "No run of this board has finished.")];
    return [forestPanel(table, "overall"), tableView(table, { bands: true }),
      publishedPanel(board)];
  },
};

/** A plot of one chosen score over the methods of a table. */
function forestPanel(table, id, columns = scoreColumns(table), all = allRows(table), most) {
  const usable = columns.filter((c) => isNumeric(table, c.name));
  if (!usable.length) return null;
  const c = usable.find((u) => u.name === get("metric"))
    ?? usable.find((u) => u.name.endsWith("balanced_accuracy")) ?? usable[0];
  const rows = all.slice(0, 60);
  const plot = forest(table, c.name, rows, most);
  const options = usable.map((u) => [u.name, u.title]);
  return el("section", { class: "panel" },
    el("div", { class: "tools" },
      chooser(`metric-${id}`, "Score", options, c.name, (v) => set({ metric: v })),
      marked(table, c.name) ? markLegend() : null,
      svgButton(`svg-${id}`, plot)),
    el("div", { class: "plot-box" }, plot),
    all.length > rows.length
      ? el("p", { class: "note" }, `The first ${rows.length} of ${all.length} rows.`) : null);
}

function markLegend() {
  return el("span", { class: "legend" }, el("i", { class: "key best" }), "best",
    el("i", { class: "key tied" }), "not significantly different from it",
    el("i", { class: "key" }), "worse");
}

/** Whether the column marks its best number. */
function marked(table, name) {
  return allRows(table).some((row) => (cellAt(table, row, name) ?? [])[5] === "best");
}

/** Numbers of papers, in a table of their own because their splits differ. */
function publishedPanel(board) {
  const table = board.tables.published;
  if (!table || !table.methods.length) return null;
  return el("section", { class: "elsewhere", "aria-labelledby": "elsewhere" },
    el("h2", { id: "elsewhere" }, "Reported elsewhere"),
    tableView(table));
}
