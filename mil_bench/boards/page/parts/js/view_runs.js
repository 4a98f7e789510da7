// Runs: one row per method, seed and fold, with the command that repeats it.

VIEWS.runs = {
  title: "Runs",
  draw(board) {
    return [
      board.problems.length ? el("section", { class: "problems", "aria-label": "Unfinished rows" },
        el("h2", {}, "Unfinished rows"), el("ul", {}, board.problems.map((p) => el("li", {}, p))))
        : null,
      board.tables.runs ? tableView(board.tables.runs) : null,
      el("p", { class: "note" }, prose("Each command repeats a run with the same key and data, in the "
        + "folder `repeated`. Run it where this board was made. Replace words in angle brackets: "
        + "files that this page cannot know.")),
      environments(board),
    ];
  },
};

/** Where the runs were made: devices, threads, precision and versions, with their numbers of runs. */
function environments(board) {
  const [heads, ...rows] = board.environments ?? [];
  if (!rows.length) return null;
  const cells = (words) => words.map((word, i) => el("td", { class: i ? null : "number" }, word));
  return el("section", { "aria-label": "Environment" }, el("h2", {}, "Environment"),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Environments" },
      el("table", { class: "facts-table" }, el("thead", {}, el("tr", {}, heads.map((h) => el("th", { scope: "col" }, h)))),
        el("tbody", {}, rows.map((words) => el("tr", {}, cells(words)))))),
    el("p", { class: "note" }, prose(DATA.retrained)));
}
