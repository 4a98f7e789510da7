// Other features, subgroups, and tables that no other view shows.

const SHOWN_ELSEWHERE = ["ablation", "sensitivity", "overall", "published", "hierarchical",
  "controls", "classwise", "localisation", "pairs", "calibration", "reliability", "thresholds",
  "cost", "runs", "subgroups", "laboratories"];

VIEWS.laboratories = {
  title: "Other features",
  has: (board) => Boolean(board.tables.laboratories),
  draw: (board) => [extraTable(board, "laboratories")],
};

VIEWS.subgroups = {
  title: "Subgroups",
  has: (board) => Boolean(board.tables.subgroups),
  draw: (board) => [extraTable(board, "subgroups")],
};

VIEWS.more = {
  title: "More",
  has: (board) => furtherTables(board).length > 0,
  draw: (board) => furtherTables(board).map((name) => extraTable(board, name)),
};

function furtherTables(board) {
  return Object.keys(board.tables).filter((name) => !SHOWN_ELSEWHERE.includes(name));
}
