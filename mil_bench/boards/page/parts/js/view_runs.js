// Runs: every cell of the board, and the command that makes it again.

VIEWS.runs = {
  title: "Runs",
  draw(board) {
    return [
      board.problems.length ? el("section", { class: "problems", "aria-label": "Unfinished rows" },
        el("h2", {}, "Unfinished rows"), el("ul", {}, board.problems.map((p) => el("li", {}, p))))
        : null,
      board.tables.runs ? tableView(board.tables.runs) : null,
      el("p", { class: "note" }, "A command makes a run of the same key, from the same data. Add "
        + "--data-root, and --plugin for a method of your own."),
    ];
  },
};
