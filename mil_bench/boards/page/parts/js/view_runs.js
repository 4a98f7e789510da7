// Runs: one row per method, seed and fold, with the command that repeats it.

VIEWS.runs = {
  title: "Runs",
  draw(board) {
    return [
      board.problems.length ? el("section", { class: "problems", "aria-label": "Unfinished rows" },
        el("h2", {}, "Unfinished rows"), el("ul", {}, board.problems.map((p) => el("li", {}, p))))
        : null,
      board.tables.runs ? tableView(board.tables.runs) : null,
      el("p", { class: "note" }, prose("Each command repeats a run with the same key and data. Add "
        + "`--data-root DIR` for your data and `--plugin FILE` for your method.")),
    ];
  },
};
